/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of the control protocol: one row a request. A request is about the process that its
 * connection owns, or, when it names a container ("id") or its connection owns nothing, about the
 * first process of that container.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sentry/abi/signal.h"
#include "sentry/boot/control.h"
#include "sentry/boot/oom_watch.h"
#include "sentry/boot/resources.h"
#include "sentry/boot/sandbox.h"
#include "sentry/core/clock.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/mm.h"

static json_t *reply_errno(int ret, const char *what)
{
    if (ret >= 0)
        return json_pack("{s:b}", "ok", 1);
    return json_pack("{s:o}", "error",
                     ret == -ESRCH ? json_string("container not running")
                                   : json_sprintf("%s: %s", what, strerror(-ret)));
}

static json_t *reply_error(const struct boot_error *e)
{
    return json_pack("{s:s, s:i}", "error", e->msg, "exit_code", e->exit_code);
}

static void remember_proxy(struct control_request *call)
{
    int64_t host_pid = boot_int(call->rq, "host_pid", 0);
    struct sandbox_process *p = call->process;

    if (host_pid <= 0)
        return;
    atomic_store(&p->host_pid, (int)host_pid);
    if (!p->is_init)
        control_tell_of_other(p, (int)host_pid);
}

static json_t *do_start(struct control_request *call)
{
    int ret;

    remember_proxy(call);
    ret = sandbox_process_start(call->process);
    if (ret == -EALREADY)
        return json_pack("{s:s}", "error", "cannot start a container that has started");
    return reply_errno(ret, "start");
}

static json_t *do_wait(struct control_request *call)
{
    remember_proxy(call);
    return control_await(call->connection, call->process);
}

static json_t *do_signal(struct control_request *call)
{
    int64_t signo = boot_int(call->rq, "signo", -1);
    struct sandbox_process *p = call->process;

    if (signo < 0 || signo > LX_NSIG)
        return reply_errno(-EINVAL, "signal");
    /* A process that was never started has no thread that would die. */
    if (atomic_load(&p->state) == PROCESS_CREATED && (signo == LX_SIGKILL || signo == LX_SIGTERM)) {
        sandbox_process_abandon(p);
        return reply_errno(0, "kill");
    }
    if (json_is_true(json_object_get(call->rq, "all")))
        return reply_errno(
            kernel_signal_container(sandbox_container_kernel(call->container), (int)signo), "kill");
    return reply_errno(kernel_signal_process(p->task, (int)signo), "kill");
}

static json_t *do_resize(struct control_request *call)
{
    sandbox_process_resize(call->process, (uint16_t)boot_int(call->rq, "rows", 0),
                           (uint16_t)boot_int(call->rq, "cols", 0));
    return reply_errno(0, "resize");
}

static json_t *do_pause(struct control_request *call)
{
    kernel_pause(sandbox_container_kernel(call->container));
    return reply_errno(0, "pause");
}

static json_t *do_resume(struct control_request *call)
{
    kernel_resume(sandbox_container_kernel(call->container));
    return reply_errno(0, "resume");
}

static json_t *do_state(struct control_request *call)
{
    return json_pack("{s:b, s:s}", "ok", 1, "status", sandbox_container_status(call->container));
}

static json_t *do_ps(struct control_request *call)
{
    return json_pack("{s:b, s:o}", "ok", 1, "processes",
                     sandbox_container_processes(call->container));
}

/* linux.resources of `update`: what the guest's own control group enforces. The host's group is the
 * command's. */
static json_t *do_update(struct control_request *call)
{
    struct kcgroup *cg = kcontainer_cgroup(sandbox_container_kernel(call->container));
    struct boot_error e = {0};

    if (boot_resources(json_object_get(call->rq, "resources"), cg,
                       sandbox_container_is_first(call->container), &e) < 0)
        return reply_error(&e);
    return reply_errno(0, "update");
}

static json_t *do_oom_seen(struct control_request *call)
{
    oom_watch_seen((uint32_t)boot_int(call->rq, "number", 0));
    return reply_errno(0, "oom_seen");
}

/* The configuration is a memfd, the last descriptor of the message. */
static int load_config(struct control_request *call, struct boot_config *c)
{
    int ret;

    if (!call->fd_count)
        return -EINVAL;
    call->fds_taken = true;
    ret = boot_config_load(call->fds[call->fd_count - 1], call->fds, call->fd_count - 1, c);
    close(call->fds[call->fd_count - 1]);
    if (ret < 0) {
        for (size_t i = 0; i + 1 < call->fd_count; i++)
            close(call->fds[i]);
        boot_config_destroy(c);
    }
    return ret;
}

static json_t *reply_created(struct control_request *call, struct sandbox_process *p)
{
    json_t *reply = json_pack("{s:b, s:i}", "ok", 1, "pid", (int)kernel_process_pid(p->task));

    control_own_take(call->connection, p);
    return reply;
}

static json_t *do_create(struct control_request *call)
{
    struct boot_error e = {0};
    struct sandbox_process *p;
    struct boot_config c;
    int ret = load_config(call, &c);

    if (ret < 0)
        return reply_errno(ret, "create");
    ret = sandbox_container_create(&c, &p, &e);
    boot_config_destroy(&c);
    return ret < 0 ? reply_error(&e) : reply_created(call, p);
}

static json_t *do_exec(struct control_request *call)
{
    struct boot_error e = {0};
    struct sandbox_process *p;
    struct boot_config c;
    int ret = load_config(call, &c);

    if (ret < 0)
        return reply_errno(ret, "exec");
    ret = sandbox_exec(call->container, &c, &p, &e);
    boot_config_destroy(&c);
    return ret < 0 ? reply_error(&e) : reply_created(call, p);
}

struct request {
    const char *op;
    bool needs_container;
    json_t *(*fn)(struct control_request *call);
};

static const struct request g_requests[] = {
    {"create", false, do_create}, {"exec", true, do_exec},     {"oom_seen", false, do_oom_seen},
    {"pause", true, do_pause},    {"ps", true, do_ps},         {"resize", true, do_resize},
    {"resume", true, do_resume},  {"signal", true, do_signal}, {"start", true, do_start},
    {"state", true, do_state},    {"update", true, do_update}, {"wait", true, do_wait},
};

json_t *control_handle(struct control_request *call)
{
    const char *op = boot_string(call->rq, "op", "");

    for (size_t i = 0; i < ARRAY_COUNT(g_requests); i++) {
        if (strcmp(g_requests[i].op, op))
            continue;
        if (g_requests[i].needs_container && !call->process)
            return reply_errno(-ESRCH, op);
        return g_requests[i].fn(call);
    }
    return json_pack("{s:o}", "error", json_sprintf("unknown request \"%.32s\"", op));
}
