/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create, in order; what fails undoes what was done before it:
 *   directory and lock -> state "creating" -> terminal -> connection -> sentry's process (waits) ->
 *   proxy (namespaces) -> hooks prestart, createRuntime, createContainer -> gofer, sentry goes on
 *   (or the running one is asked), program loaded -> state "created" -> pid-file -> the proxy is let
 *   go -> lock released
 *
 * The command can be killed at any point: the proxy sees its pipe end, the sentry its connection,
 * the gofer its sessions. What stays is the directory; it says "creating" by a process that is
 * gone, which reads as stopped.
 */
#include "runsc-c/container/create.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "runsc-c/container/annotations.h"
#include "runsc-c/container/console.h"
#include "runsc-c/container/exec.h"
#include "runsc-c/container/limits.h"
#include "runsc-c/container/pod.h"
#include "runsc-c/container/witness.h"
#include "runsc-c/oci/hooks.h"
#include "runsc-c/oci/mountpoints.h"
#include "runsc-c/oci/namespaces.h"
#include "runsc-c/sandbox/control.h"
#include "runsc-c/sandbox/launch.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

struct creation {
    const struct create_request *rq;
    struct container c;
    struct container sandbox; /* of a pod's member: the one it joins */
    bool joins;
    int lock, control[2], console_fd, exit_fd;
    struct proxy proxy;
    struct cgroup *cgroup;
    struct cgroup_door *door;
    char hostname[256]; /* of a container whose specification has none */
    struct launch_request launch;
    struct rootfs_hint rootfs;
    json_t *spec;            /* the container's for gofer and sentry; owned */
    struct launch *starting; /* between prepare and finish */
    struct sandbox processes;
};

int container_write_pid_file(const char *path, pid_t pid, struct err *e)
{
    char tmp[4200], text[16];
    int n = snprintf(text, sizeof(text), "%d", pid), fd;

    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)n) != n || rename(tmp, path) < 0) {
        (void)err_errno(e, errno, "--pid-file %s", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    close(fd);
    return 0;
}

int container_preserved(json_t *process, long *preserve_fds, struct err *e)
{
    const char *text = getenv("LISTEN_FDS");
    long listening = text ? strtol(text, NULL, 10) : 0;
    json_t *env = json_object_get(process, "env");

    if (*preserve_fds < 0 || *preserve_fds > g_options.inherited_fds)
        return err_set(e, "--preserve-fds %ld: descriptor %d is not open", *preserve_fds,
                       3 + g_options.inherited_fds);
    if (listening <= 0)
        return 0;
    *preserve_fds += MIN(listening, g_options.inherited_fds - *preserve_fds);
    if (!env) {
        env = json_array();
        json_object_set_new(process, "env", env);
    }
    json_array_append_new(env, json_sprintf("LISTEN_FDS=%ld", listening));
    json_array_append_new(env, json_string("LISTEN_PID=1"));
    return 0;
}

int container_open_strace(struct err *e)
{
    int fd;

    if (!g_options.strace)
        return -1;
    if (!*g_options.strace)
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    fd = open(g_options.strace, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0644);
    return fd < 0 ? err_errno(e, errno, "--strace=%s", g_options.strace) : fd;
}

int container_check_terminal(const json_t *process, bool detach, const char *console_socket,
                             struct err *e)
{
    bool terminal = json_is_true(json_object_get(process, "terminal"));

    if (terminal && detach && !console_socket)
        return err_set(e, "cannot allocate tty if runsc-c will detach without setting console "
                          "socket");
    if (console_socket && (!terminal || !detach))
        return err_set(e, "cannot use console socket if runsc-c will not detach or allocate tty");
    return 0;
}

static int take_hooks(struct creation *n, struct err *e)
{
    static const char *const outside[] = {"prestart", "createRuntime"};
    json_t *state = container_oci_state(&n->c, "creating");
    int ret = state ? 0 : err_errno(e, ENOMEM, "state");

    if (ret == 0 && json_object_size(json_object_get(n->rq->spec, "hooks")))
        ret = proxy_settle(&n->proxy, e); /* a hook may look for its mount namespace */
    for (size_t i = 0; ret == 0 && i < ARRAY_COUNT(outside); i++)
        ret = hooks_run(n->rq->spec, outside[i], state, 0, e);
    if (ret == 0)
        ret = hooks_run(n->rq->spec, "createContainer", state, n->proxy.pid, e);
    json_decref(state);
    return ret < 0 ? err_wrap(e, "unable to start container process: error during container init")
                   : 0;
}

static int open_line(struct creation *n, struct err *e)
{
    if (n->joins) {
        n->control[0] = container_connect(&n->sandbox, e);
        return n->control[0] < 0 ? -1 : 0;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, n->control) < 0)
        return err_errno(e, errno, "socketpair");
    return 0;
}

static int stdio_or_closed(int fd)
{
    return g_options.stdio_closed[fd] ? -1 : fd;
}

/* Up to where hooks can run: the sentry's process, waiting. */
static int prepare_sandbox(struct creation *n, struct err *e)
{
    const struct create_request *rq = n->rq;

    if (!*json_get_string(rq->spec, "hostname", "") &&
        namespaces_hostname(json_object_get(json_object_get(rq->spec, "linux"), "namespaces"),
                            n->hostname, sizeof(n->hostname), e) < 0)
        return -1;
    n->launch = (struct launch_request){
        .hostname = n->hostname,
        .id = rq->id,
        .spec = n->spec,
        .bundle = rq->bundle,
        .stdio = {stdio_or_closed(0), stdio_or_closed(1), stdio_or_closed(2)},
        .console_fd = n->console_fd,
        .listen_fd = -1,
        .strace_fd = -1,
        .preserve_fds = (int)rq->preserve_fds,
        .control_fd = n->control[0],
        .sentry_control_fd = n->control[1],
        .overlay = n->rootfs.overlay   ? n->rootfs.overlay
                   : g_options.overlay ? g_options.overlay
                                       : "none",
        .overlay_size = n->rootfs.size,
        .shared_root = strcmp(g_options.file_access, "exclusive") != 0,
        .share_pid = n->joins && pod_shares_pid(rq->spec),
        .attached = rq->attached,
        .door = n->door,
    };
    if (!n->joins) {
        n->launch.listen_fd = container_listen(rq->id, e);
        n->launch.strace_fd = container_open_strace(e);
        if (e->msg[0])
            return -1;
    }
    n->control[1] = -1; /* taken over */
    n->starting = sandbox_prepare(&n->launch, n->joins, &n->processes, e);
    return n->starting ? 0 : -1;
}

static int finish_sandbox(struct creation *n, struct err *e)
{
    const json_t *spec = n->rq->spec;
    struct launch *l = n->starting;

    if (!strcmp(n->launch.overlay, "none") &&
        json_is_true(json_object_get(json_object_get(spec, "root"), "readonly")) &&
        mountpoints_make(spec, n->c.rootfs, e) < 0)
        return -1;
    n->starting = NULL;
    return sandbox_finish(l, &n->processes, e);
}

static int start_proxy(struct creation *n, struct err *e)
{
    const json_t *spec = n->rq->spec, *process = json_object_get(spec, "process");
    const json_t *user = json_object_get(process, "user");
    struct witness witness;
    const struct proxy_config config = {
        .door = n->door,
        .witness = &witness,
        .namespaces = json_object_get(json_object_get(spec, "linux"), "namespaces"),
        .hostname = json_string_value(json_object_get(spec, "hostname")),
        .network = sandbox_netns_owner(n->starting, &n->processes),
        .rootfs = n->c.rootfs,
        .control_fd = n->control[0],
        .tty_fd = n->console_fd,
        .controlling = n->rq->console_socket != NULL,
        .exit_fd = n->exit_fd,
        .args = json_object_get(process, "args"),
        .uid = (uid_t)json_integer_value(json_object_get(user, "uid")),
        .gid = (gid_t)json_integer_value(json_object_get(user, "gid")),
    };
    int ret;

    witness_open(&witness, n->cgroup);
    ret = proxy_start(&config, &n->proxy, e);
    witness_close(&witness);
    if (ret < 0)
        return err_wrap(e, "unable to start container process: error during container init");
    n->c.proxy = process_identify(n->proxy.pid);
    return container_save(&n->c, e);
}

static int open_console(struct creation *n, struct err *e)
{
    const json_t *process = json_object_get(n->rq->spec, "process");

    n->console_fd = n->rq->console_fd;
    if (!n->rq->console_socket)
        return 0;
    n->console_fd = console_send(n->rq->console_socket, json_object_get(process, "consoleSize"), e);
    return n->console_fd < 0 ? -1 : 0;
}

static int first_state(struct creation *n, struct err *e)
{
    const struct create_request *rq = n->rq;
    const char *root = json_get_string(json_object_get(rq->spec, "root"), "path", "");
    struct container *c = &n->c;

    snprintf(c->id, sizeof(c->id), "%s", rq->id);
    snprintf(c->sandbox, sizeof(c->sandbox), "%s", n->joins ? n->sandbox.id : rq->id);
    snprintf(c->bundle, sizeof(c->bundle), "%s", rq->bundle);
    snprintf(c->rootfs, sizeof(c->rootfs), "%s%s%s", root[0] == '/' ? "" : rq->bundle,
             root[0] == '/' ? "" : "/", root);
    c->creator = process_identify(getpid());
    c->owner = getuid();
    c->annotations = json_incref(json_object_get(rq->spec, "annotations"));
    container_stamp(c);
    if (container_save(c, e) < 0 || container_save_spec(rq->id, rq->spec, e) < 0)
        return -1;
    n->exit_fd = container_exit_file(rq->id, e);
    return n->exit_fd < 0 ? -1 : 0;
}

/* A member's mount hints are the pod's. */
static int heed_annotations(struct creation *n, struct err *e)
{
    const json_t *own = json_object_get(n->rq->spec, "annotations");

    if (annotations_set_options(own, e) < 0 || annotations_rootfs(own, &n->rootfs, e) < 0)
        return -1;
    n->spec = annotations_mounts(n->joins ? n->sandbox.annotations : own, n->rq->spec, e);
    return n->spec ? 0 : -1;
}

static int steps(struct creation *n, struct err *e)
{
    if (heed_annotations(n, e) < 0 || first_state(n, e) < 0 || open_console(n, e) < 0 ||
        open_line(n, e) < 0 || limits_make(&n->c, n->rq->spec, &n->cgroup, e) < 0 ||
        cgroup_door_open(n->cgroup, &n->door, e) < 0 || prepare_sandbox(n, e) < 0 ||
        start_proxy(n, e) < 0 || take_hooks(n, e) < 0)
        return -1;
    if (finish_sandbox(n, e) < 0)
        return err_wrap(e, "unable to start container process");
    if (proxy_settle(&n->proxy, e) < 0)
        return -1;
    n->c.phase = CONTAINER_CREATED;
    n->c.sentry = n->joins ? n->sandbox.sentry : process_identify(n->processes.sentry_pid);
    n->c.gofer = process_identify(n->processes.gofer_pid);
    if (container_save(&n->c, e) < 0)
        return -1;
    if (n->rq->pid_file && container_write_pid_file(n->rq->pid_file, n->proxy.pid, e) < 0)
        return -1;
    return proxy_go(&n->proxy, e);
}

static void undo(struct creation *n)
{
    json_t *state = container_oci_state(&n->c, "stopped");
    struct err ignored = {0}; /* the first error is the one to tell */

    proxy_destroy(&n->proxy);
    sandbox_cancel(n->starting, &n->processes);
    sandbox_destroy(&n->processes);
    if (n->c.proxy.pid)
        (void)hooks_run(n->rq->spec, "poststop", state, 0, &ignored);
    json_decref(state);
    if (n->cgroup)
        (void)cgroup_delete(n->cgroup, &ignored);
    (void)container_remove_dir(n->rq->id, &ignored);
    if (n->rq->pid_file)
        (void)unlink(n->rq->pid_file); /* ours, or none */
}

static void close_all(struct creation *n)
{
    const int fds[] = {n->control[0],
                       n->control[1],
                       n->exit_fd,
                       n->lock,
                       n->launch.listen_fd,
                       n->launch.strace_fd,
                       n->console_fd != n->rq->console_fd ? n->console_fd : -1};

    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    cgroup_door_close(n->door);
    json_decref(n->spec);
    if (n->cgroup)
        cgroup_free(n->cgroup);
    container_destroy(&n->c);
    container_destroy(&n->sandbox);
}

int container_create(const struct create_request *rq, struct proxy *out_proxy, struct err *e)
{
    struct creation n = {.rq = rq,
                         .lock = -1,
                         .control = {-1, -1},
                         .console_fd = -1,
                         .exit_fd = -1,
                         .proxy = PROXY_NONE,
                         .launch = {.listen_fd = -1, .strace_fd = -1},
                         .processes = {-1, -1}};
    const char *sandbox = pod_sandbox_of(rq->spec);
    int ret;

    signal(SIGPIPE, SIG_IGN); /* a process that died while we made it is an error to undo */
    if (container_check_id(rq->id, e) < 0)
        return -1;
    if (sandbox && strcmp(sandbox, rq->id)) {
        if (container_load(sandbox, &n.sandbox, e) < 0)
            return err_wrap(e, "sandbox");
        n.joins = true;
    }
    n.lock = container_make_dir(rq->id, e);
    if (n.lock < 0) {
        close_all(&n);
        return -1;
    }
    ret = steps(&n, e);
    if (ret < 0)
        undo(&n);
    else
        *out_proxy = n.proxy;
    close_all(&n);
    return ret;
}

/* ---- start ----------------------------------------------------------------------------------- */

static int check_created(const struct container *c, struct err *e)
{
    const char *status = container_status(c);

    if (!strcmp(status, "created"))
        return 0;
    if (!strcmp(status, "stopped"))
        return err_set(e, "cannot start a container that has stopped");
    if (!strcmp(status, "running"))
        return err_set(e, "cannot start an already running container");
    return err_set(e, "cannot start a container in the %s state", status);
}

static int start_locked(struct container *c, const json_t *spec, struct err *e)
{
    json_t *state = container_oci_state(c, "created"), *reply;
    int ret = exec_start_hooks(c, spec, state, e);

    json_decref(state);
    if (ret < 0) {
        struct err ignored = {0};

        (void)process_kill(&c->proxy, "container", &ignored);
        return err_wrap(e, "unable to start container process: error during container init");
    }
    reply = container_request(
        c, json_pack("{s:s, s:i}", "op", "start", "host_pid", (int)c->proxy.pid), e);
    json_decref(reply);
    if (!reply)
        return -1;
    c->phase = CONTAINER_STARTED;
    return container_save(c, e);
}

static int start_hooks_after(const struct container *c, const json_t *spec, struct err *e)
{
    json_t *state = container_oci_state(c, "running");
    int ret = hooks_run(spec, "poststart", state, 0, e);

    json_decref(state);
    return ret;
}

int container_start(const char *id, struct err *e)
{
    struct container c;
    json_t *spec = NULL;
    int lock = container_lock(id, e), ret;

    if (lock < 0)
        return -1;
    ret = container_load(id, &c, e);
    if (ret == 0) {
        ret = check_created(&c, e);
        if (ret == 0) {
            spec = container_spec(&c, e);
            ret = spec ? start_locked(&c, spec, e) : -1;
            close(lock); /* a hook that hangs keeps nobody else out */
            lock = -1;
            if (ret == 0)
                ret = start_hooks_after(&c, spec, e);
        }
        json_decref(spec);
        container_destroy(&c);
    }
    if (lock >= 0)
        close(lock);
    return ret;
}

/* ---- delete ---------------------------------------------------------------------------------- */

/* A pod's member: its sentry lives on; it is gone when the sentry does not know it any more. */
static void wait_until_left(const struct container *c)
{
    for (int i = 0; i < 500; i++) {
        struct err ignored = {0};
        json_t *reply = container_request(c, json_pack("{s:s}", "op", "state"), &ignored);

        json_decref(reply);
        if (!reply)
            return;
        usleep(20000);
    }
}

static int end_processes(const struct container *c, struct err *e)
{
    bool member = strcmp(c->id, c->sandbox) != 0;

    /* We hold its lock: a creator that is alive has lost its way. */
    if (c->phase == CONTAINER_CREATING && c->creator.pid != getpid() &&
        process_kill(&c->creator, "creating command", e) < 0)
        return -1;
    if (process_kill(&c->proxy, "container", e) < 0)
        return -1;
    if (member)
        wait_until_left(c);
    else if (process_kill(&c->sentry, "sandbox", e) < 0)
        return -1;
    return process_kill(&c->gofer, "gofer", e);
}

static int delete_locked(const struct container *c, bool force, struct err *e)
{
    const char *status = container_status(c);
    struct err ignored = {0};
    json_t *spec, *state;
    int ret;

    if (!force && strcmp(status, "stopped") && strcmp(status, "created"))
        return err_set(e, "cannot delete container %s that is not stopped: %s", c->id, status);
    limits_thaw(c);
    /* A group that somebody froze does not die of signals. */
    if (strcmp(status, "stopped") && limits_kill(c, e) < 0)
        return -1;
    if (end_processes(c, e) < 0)
        return -1;
    if (limits_remove(c, &ignored) < 0) /* as with runc: others may be in it, who need it longer */
        log_warn(LOG_CLI, "%s", ignored.msg);
    spec = container_spec(c, &ignored);
    ret = container_remove_dir(c->id, e);
    state = container_oci_state(c, "stopped");
    if (ret == 0 && spec && hooks_run(spec, "poststop", state, 0, &ignored) < 0)
        log_warn(LOG_CLI, "%s", ignored.msg);
    json_decref(spec);
    json_decref(state);
    return ret;
}

/* What is at work on the container may be waiting for a hook that never ends. Force means that it loses:
 * a creator is ended, anybody else once the container's process is gone. */
static int lock_by_force(const char *id, struct err *e)
{
    struct container c;

    if (container_locked(id) && container_load(id, &c, e) == 0) {
        const struct process_id *who = c.phase == CONTAINER_CREATING ? &c.creator : &c.proxy;

        if (process_kill(who, "process", e) < 0)
            return -1;
        container_destroy(&c);
    }
    return container_lock(id, e);
}

int container_delete(const char *id, bool force, struct err *e)
{
    struct container c;
    int lock, ret;

    if (force && !container_exists(id))
        return container_check_id(id, e);
    lock = force ? lock_by_force(id, e) : container_lock(id, e);
    if (lock < 0)
        return force && !container_exists(id) ? 0 : -1;
    ret = container_load(id, &c, e);
    if (ret == 0) {
        ret = delete_locked(&c, force, e);
        container_destroy(&c);
    }
    close(lock);
    return ret;
}
