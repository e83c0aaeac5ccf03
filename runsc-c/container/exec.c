/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command connects to the sentry and asks for the process over that connection, with its own
 * stdio (or a terminal) beside the request. A proxy is forked, the sentry creates the process, the proxy
 * takes the connection over, the pid-file is written and the process starts. The proxy is in the
 * host namespaces of the container's first proxy.
 */
#include "runsc-c/container/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runsc-c/container/console.h"
#include "runsc-c/container/create.h"
#include "runsc-c/container/limits.h"
#include "runsc-c/container/relay.h"
#include "runsc-c/container/terminal.h"
#include "runsc-c/sandbox/control.h"
#include "runsc-c/sandbox/launch.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

struct execution {
    const struct container *c;
    const struct exec_call_options *rq;
    int control_fd, console_fd, signal_fd;
    bool own_console; /* console_fd is ours to close */
    struct relay relay;
    struct proxy proxy;
    struct cgroup *cgroup;
    struct cgroup_door *door;
};

static int open_console(struct execution *x, struct err *e)
{
    const json_t *process = x->rq->process;

    if (!json_is_true(json_object_get(process, "terminal")))
        return 0;
    if (x->rq->console_socket) {
        x->console_fd =
            console_send(x->rq->console_socket, json_object_get(process, "consoleSize"), e);
        x->own_console = true;
        return x->console_fd < 0 ? -1 : 0;
    }
    x->console_fd = terminal_find();
    if (x->console_fd >= 0)
        return terminal_raw(x->console_fd, e);
    x->console_fd = relay_open(&x->relay, json_object_get(process, "consoleSize"), e);
    x->own_console = true;
    return x->console_fd < 0 ? -1 : 0;
}

static int stdio_or_closed(int fd)
{
    return g_options.stdio_closed[fd] ? -1 : fd;
}

static int create(struct execution *x, struct err *e)
{
    const struct launch_request launch = {
        .id = x->c->id,
        .stdio = {stdio_or_closed(0), stdio_or_closed(1), stdio_or_closed(2)},
        .console_fd = x->console_fd,
        .listen_fd = -1,
        .strace_fd = -1,
        .preserve_fds = (int)x->rq->preserve_fds,
        .control_fd = x->control_fd,
        .sentry_control_fd = -1,
        .cgroup = x->rq->cgroup,
    };

    return sandbox_add_process(&launch, x->rq->process, e) < 0
               ? err_wrap(e, "unable to start container process")
               : 0;
}

static int start_proxy(struct execution *x, struct err *e)
{
    const json_t *user = json_object_get(x->rq->process, "user");
    struct proxy_config config = {
        .join = x->c->proxy.pid,
        .rootfs = x->c->rootfs,
        .control_fd = x->control_fd,
        .tty_fd = x->console_fd,
        .start = true,
        .controlling = x->own_console,
        .exit_fd = -1,
        .args = json_object_get(x->rq->process, "args"),
        .uid = (uid_t)json_integer_value(json_object_get(user, "uid")),
        .gid = (gid_t)json_integer_value(json_object_get(user, "gid")),
    };

    if (cgroup_load(x->c->cgroup, &x->cgroup, e) < 0 ||
        cgroup_door_open(x->cgroup, &x->door, e) < 0)
        return -1;
    config.door = x->door;
    return proxy_start(&config, &x->proxy, e);
}

static int let_go(struct execution *x, struct err *e)
{
    if (proxy_settle(&x->proxy, e) < 0)
        return -1;
    if (x->rq->pid_file && container_write_pid_file(x->rq->pid_file, x->proxy.pid, e) < 0)
        return -1;
    return proxy_go(&x->proxy, e);
}

static int run(struct execution *x, struct err *e)
{
    x->control_fd = container_connect(x->c, e);
    if (x->control_fd < 0)
        return -1;
    /* The proxy finds its place while the sentry makes the process. */
    if (open_console(x, e) < 0 || start_proxy(x, e) < 0 || create(x, e) < 0 || let_go(x, e) < 0)
        return -1;
    close(x->control_fd); /* the proxy's alone */
    x->control_fd = -1;
    if (x->own_console) {
        close(x->console_fd);
        x->console_fd = -1;
    }
    if (x->rq->detach)
        return 0;
    x->signal_fd = proxy_catch_signals(e);
    return x->signal_fd < 0 ? -1 : proxy_wait(&x->proxy, x->signal_fd, &x->relay, e);
}

int exec_run(const struct container *c, const struct exec_call_options *rq, struct err *e)
{
    struct execution x = {.c = c,
                          .rq = rq,
                          .control_fd = -1,
                          .console_fd = -1,
                          .signal_fd = -1,
                          .relay = {.master = -1},
                          .proxy = PROXY_NONE};
    int ret;

    if (container_check_terminal(rq->process, rq->detach, rq->console_socket, e) < 0)
        return -1;
    signal(SIGPIPE, SIG_IGN); /* a proxy that died is an error to undo */
    ret = run(&x, e);
    if (ret < 0)
        proxy_destroy(&x.proxy);
    terminal_restore();
    relay_close(&x.relay);
    cgroup_door_close(x.door);
    cgroup_free(x.cgroup);
    if (x.control_fd >= 0)
        close(x.control_fd);
    if (x.own_console && x.console_fd >= 0)
        close(x.console_fd);
    return ret;
}

/* ---- startContainer hooks -------------------------------------------------------------------- */

static json_t *hook_process(const json_t *hook)
{
    json_t *args = json_array(), *list = json_object_get(hook, "args"), *v;
    json_t *env = json_object_get(hook, "env");
    size_t i;

    /* The path is what is executed; args[0] is only its name. */
    json_array_append(args, json_object_get(hook, "path"));
    json_array_foreach(list, i, v)
    {
        if (i > 0)
            json_array_append(args, v);
    }
    return json_pack("{s:s, s:o, s:o, s:{s:i, s:i}}", "cwd", "/", "args", args, "env",
                     env ? json_incref(env) : json_array(), "user", "uid", 0, "gid", 0);
}

static int state_fd(const json_t *state, struct err *e)
{
    char *text = json_dumps(state, JSON_COMPACT);
    int fd = memfd_create("state", MFD_CLOEXEC);

    if (!text || fd < 0 || write(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
        (void)err_errno(e, errno, "state for hooks");
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    free(text);
    return fd;
}

static int wait_for_hook(int control_fd, int64_t timeout, size_t index, struct err *e)
{
    struct pollfd p = {.fd = control_fd, .events = POLLIN};
    json_t *msg = json_pack("{s:s, s:s}", "op", "start", "quiet", "success");
    int n = control_send(control_fd, msg, NULL, 0, e), status;

    json_decref(msg);
    if (n < 0)
        return -1;
    n = poll(&p, 1, timeout > 0 ? (int)timeout * 1000 : -1);
    if (n == 0) /* the end of the connection kills it */
        return err_set(e,
                       "error running hook #%zu: error running startContainer hook: hook ran past "
                       "specified timeout of %.1fs",
                       index, (double)timeout);
    msg = control_receive(control_fd, e);
    if (!msg)
        return -1;
    status = (int)json_integer_value(json_object_get(msg, "status"));
    json_decref(msg);
    if (WIFSIGNALED(status))
        return err_set(
            e, "error running hook #%zu: error running startContainer hook: signal: %s", index,
            WTERMSIG(status) == SIGSYS ? "bad system call" : sigdescr_np(WTERMSIG(status)));
    if (status)
        return err_set(e,
                       "error running hook #%zu: error running startContainer hook: exit status %d",
                       index, proxy_exit_code(status));
    return 0;
}

static int run_start_hook(const struct container *c, const json_t *hook, size_t index, int stdin_fd,
                          struct err *e)
{
    int control_fd = container_connect(c, e), ret;
    json_t *process = hook_process(hook);
    struct launch_request launch = {
        .id = c->id,
        .stdio = {stdin_fd, -1, STDERR_FILENO},
        .console_fd = -1,
        .listen_fd = -1,
        .strace_fd = -1,
        .control_fd = control_fd,
        .sentry_control_fd = -1,
    };

    if (control_fd < 0) {
        json_decref(process);
        return -1;
    }
    ret = sandbox_add_process(&launch, process, e);
    if (ret < 0)
        ret = err_wrap(e, "error running hook #%zu", index);
    else
        ret = wait_for_hook(control_fd, json_integer_value(json_object_get(hook, "timeout")), index,
                            e);
    json_decref(process);
    close(control_fd);
    return ret;
}

int exec_start_hooks(const struct container *c, const json_t *spec, const json_t *state,
                     struct err *e)
{
    const json_t *list = json_object_get(json_object_get(spec, "hooks"), "startContainer"), *hook;
    size_t i;

    json_array_foreach(list, i, hook)
    {
        int fd = state_fd(state, e), ret;

        if (fd < 0)
            return -1;
        ret = run_start_hook(c, hook, i, fd, e);
        close(fd);
        if (ret < 0)
            return -1;
    }
    return 0;
}
