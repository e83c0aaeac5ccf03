/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch order: socket pairs, gofer, sentry, hello. What each child is told goes through a sealed
 * memfd as JSON (members: see boot_config below, read by sentry/boot/config.c and gofer_entry.c).
 *
 * The sentry is cloned into new user, pid, mount, ipc, uts, cgroup and network namespaces. Started
 * by root its only mapped id is the host's nobody (65534), so that even a sandbox escape is nobody;
 * started by a user it is that user. It changes ids before exec, which keeps it dumpable (it traces
 * its own stubs), and drops everything else itself. It is pid 1 of its pid namespace: when it dies,
 * the host kernel ends every stub.
 */
#include "runsc-c/sandbox/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/platform.h"
#include "runsc-c/cgroup/cgroup.h"
#include "runsc-c/oci/seccomp.h"
#include "runsc-c/sandbox/control.h"
#include "runsc-c/sandbox/fdset.h"
#include "runsc-c/sandbox/idmap.h"
#include "runsc-c/sandbox/netns.h"
#include "runsc-c/sandbox/trees.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

struct launch {
    const struct launch_request *rq;
    struct sandbox_netns netns;
    struct sandbox_trees trees;
    struct fdset sentry_fds, gofer_fds;
    int log_fd, exe_fd;
    int gofer_go, sentry_go; /* pipes that the children wait on, or -1 */
    bool joins;
};

static json_t *log_config(struct fdset *fds, int log_fd, struct err *e)
{
    return json_pack("{s:i, s:s, s:b, s:I}", "fd", fdset_add(fds, log_fd, e), "format",
                     g_options.log_format, "debug", g_options.debug, "started",
                     (json_int_t)g_options.started);
}

/* The network namespace that was made for the sentry, where it is empty and we may enter it; else
 * the gofer makes one. */
static int shared_netns(const struct launch *l, pid_t sentry)
{
    char path[64];

    if (l->joins || !l->netns.make || strcmp(sandbox_network(l->rq->standalone), "none") ||
        geteuid() != 0)
        return -1;
    snprintf(path, sizeof(path), "/proc/%d/ns/net", sentry);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static json_t *gofer_config(struct launch *l, int netns_fd, struct err *e)
{
    json_t *trees = sandbox_trees_describe(&l->trees, &l->gofer_fds, e), *config;

    if (!trees)
        return NULL;
    config =
        json_pack("{s:o, s:o}", "trees", trees, "log", log_config(&l->gofer_fds, l->log_fd, e));
    if (netns_fd >= 0)
        json_object_set_new(config, "netns", json_integer(fdset_add(&l->gofer_fds, netns_fd, e)));
    return config;
}

static json_t *fd_number(struct launch *l, int fd, struct err *e)
{
    return json_integer(fdset_add(&l->sentry_fds, fd, e));
}

/* Descriptors of a process: the same members for the first one and for exec. */
static void add_process_fds(struct launch *l, json_t *config, struct err *e)
{
    const struct launch_request *rq = l->rq;
    json_t *stdio = json_array(), *preserved = json_array();

    for (int i = 0; i < 3; i++)
        json_array_append_new(stdio, fd_number(l, rq->console_fd < 0 ? rq->stdio[i] : -1, e));
    for (int i = 0; i < rq->preserve_fds; i++)
        json_array_append_new(preserved, fd_number(l, 3 + i, e));
    json_object_set_new(config, "stdio", stdio);
    json_object_set_new(config, "preserved", preserved);
    json_object_set_new(config, "console", fd_number(l, rq->console_fd, e));
}

/* What describes the container, whichever sentry it runs in. */
static json_t *container_config(struct launch *l, struct err *e)
{
    const struct launch_request *rq = l->rq;
    json_t *filter = seccomp_compile(rq->spec, e);
    json_t *config = json_pack("{s:o, s:s, s:o, s:s, s:I, s:O, s:b, s:b}", "seccomp", filter, "id",
                               rq->id, "spec", json_deep_copy(rq->spec), "overlay", rq->overlay,
                               "overlay_size", (json_int_t)rq->overlay_size, "trees", l->trees.list,
                               "standalone", rq->standalone, "share_pid", rq->share_pid);

    if (config)
        json_object_set(json_object_get(config, "spec"), "mounts", l->trees.mounts);
    if (config && rq->hostname && *rq->hostname)
        json_object_set_new(json_object_get(config, "spec"), "hostname", json_bytes(rq->hostname));
    if (config)
        add_process_fds(l, config, e);
    else if (!e->msg[0])
        (void)err_errno(e, ENOMEM, "container configuration");
    return config;
}

/* The same with what describes the sandbox. */
static json_t *sentry_config(struct launch *l, int device_fd, struct err *e)
{
    const struct launch_request *rq = l->rq;
    json_t *config = container_config(l, e);
    json_t *sandbox =
        json_pack("{s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:{s:o, s:s}}", "platform",
                  g_options.platform, "lanes", g_options.lanes, "rseq", g_options.rseq, "network",
                  sandbox_network(rq->standalone), "device", fd_number(l, device_fd, e), "control",
                  fd_number(l, rq->sentry_control_fd, e), "listen", fd_number(l, rq->listen_fd, e),
                  "log", log_config(&l->sentry_fds, l->log_fd, e), "strace", "fd",
                  fd_number(l, rq->strace_fd, e), "format", g_options.strace_format);

    if (!config || !sandbox || json_object_update(config, sandbox) < 0) {
        if (!e->msg[0])
            (void)err_errno(e, ENOMEM, "sentry configuration");
    }
    json_decref(sandbox);
    sandbox_netns_describe(&l->netns, config);
    if (e->msg[0]) {
        json_decref(config);
        return NULL;
    }
    return config;
}

/* A sealed memfd that holds v; consumes v. */
static int config_fd(json_t *v, struct err *e)
{
    char *text = v ? json_dumps(v, JSON_COMPACT) : NULL;
    size_t size = text ? strlen(text) : 0;
    int fd = -1;

    json_decref(v);
    if (!text)
        return e->msg[0] ? -1 : err_errno(e, ENOMEM, "configuration");
    fd = memfd_create("runsc-c-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
        (void)err_errno(e, errno, "configuration memfd");
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    free(text);
    return fd;
}

static NORETURN void child_fail(const char *what, int errnum)
{
    dprintf(STDERR_FILENO, "runsc-c: %s: %s\n", what, strerror(errnum));
    _exit(1);
}

static void redirect_null(int target, int flags)
{
    int fd = open("/dev/null", flags | O_CLOEXEC);

    if (fd < 0 || dup2(fd, target) < 0)
        child_fail("/dev/null", errno);
}

static NORETURN void exec_role(int exe_fd, const char *role, int number)
{
    char text[16];
    char *argv[] = {(char[]){"runsc-c"}, strdupa(role), text, NULL};
    char *envp[] = {NULL};

    snprintf(text, sizeof(text), "%d", number);
    fcntl(exe_fd, F_SETFD, FD_CLOEXEC);
    syscall(SYS_execveat, exe_fd, "", argv, envp, AT_EMPTY_PATH);
    child_fail("cannot execute runsc-c", errno);
}

struct child {
    const char *role;
    uint64_t clone_flags;
    struct fdset *fds;
    bool keep_stderr;          /* else all three are /dev/null */
    bool become_zero;          /* id 0 of its user namespace */
    const struct idmaps *maps; /* of its user namespace; NULL: a single id */
    bool in_userns;            /* our user namespace is not the host's first */
    bool die_with_parent;
    struct cgroup_door *door;
    int config_number, exe_number;
};

static NORETURN void child_main(struct child *c, int go_fd)
{
    sigset_t none;
    char go;
    int ret = cgroup_door_enter(c->door);

    if (ret < 0)
        child_fail("cannot enter the cgroup", -ret);
    if (read(go_fd, &go, 1) != 1)
        _exit(1);
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    ret = fdset_apply(c->fds); /* 0-2 may be among them */
    if (ret < 0)
        child_fail("descriptors", -ret);
    redirect_null(0, O_RDONLY);
    redirect_null(1, O_WRONLY);
    if (!c->keep_stderr)
        redirect_null(2, O_WRONLY);
    /* Where a user namespace forbids it, the groups are those of the user who made it. */
    if (c->become_zero && setgroups(0, NULL) < 0 && !(errno == EPERM && c->in_userns))
        child_fail("cannot drop groups", errno);
    if (c->become_zero && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        child_fail("cannot become the sandbox user", errno);
    if (c->die_with_parent)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    exec_role(c->exe_number, c->role, c->config_number);
}

/* The child waits until it is let go: *out_go is the pipe for that, and its end. */
static pid_t spawn(struct child *c, int *out_go, struct err *e)
{
    int go[2];
    pid_t pid;

    if (pipe2(go, O_CLOEXEC) < 0)
        return err_errno(e, errno, "pipe");
    pid = cgroup_door_clone(c->door, c->clone_flags);
    if (pid == 0) {
        close(go[1]);
        child_main(c, go[0]);
    }
    close(go[0]);
    if (pid < 0) {
        (void)err_errno(e, errno, "cannot start the %s process%s", c->role,
                        errno == EPERM ? " (are user namespaces allowed here?)" : "");
    } else if ((c->clone_flags & CLONE_NEWUSER) && idmaps_write(pid, c->maps, e) < 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        pid = -1;
    }
    *out_go = go[1];
    return pid;
}

static int let_go(const struct launch *l, pid_t pid, int *go_fd, struct err *e)
{
    int ret;

    if (cgroup_door_admit(l->rq->door, pid, e) < 0)
        return -1;
    ret = write(*go_fd, "g", 1) == 1 ? 0 : err_errno(e, errno, "pipe");

    close(*go_fd);
    *go_fd = -1;
    return ret;
}

static int start_gofer(struct launch *l, struct sandbox *out, struct err *e)
{
    int netns_fd = shared_netns(l, out->sentry_pid), fd;
    struct idmaps maps;
    bool mapped = idmaps_of(l->rq->spec, &maps);
    struct child c = {
        .role = "internal-gofer",
        .clone_flags = CLONE_NEWPID | (geteuid() || mapped ? CLONE_NEWUSER : 0),
        .maps = mapped ? &maps : NULL,
        .become_zero = mapped,
        .in_userns = cgroup_rootless_default(),
        .fds = &l->gofer_fds,
        .keep_stderr = l->rq->attached,
        .die_with_parent = l->rq->die_with_parent,
        .door = l->rq->door,
    };

    if (sandbox_trees_mount(&l->trees, mapped, e) < 0)
        return -1;
    fd = config_fd(gofer_config(l, netns_fd, e), e);
    if (fd >= 0) {
        c.config_number = fdset_add(&l->gofer_fds, fd, e);
        c.exe_number = fdset_add(&l->gofer_fds, l->exe_fd, e);
        out->gofer_pid = c.exe_number < 0 ? -1 : spawn(&c, &l->gofer_go, e);
        close(fd);
    }
    if (netns_fd >= 0)
        close(netns_fd);
    return out->gofer_pid < 0 ? -1 : let_go(l, out->gofer_pid, &l->gofer_go, e);
}

/* In the network namespace that its sockets are to live in. */
static pid_t spawn_sentry(struct launch *l, struct err *e)
{
    struct child c = {
        .role = "internal-sentry",
        .clone_flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
                       CLONE_NEWCGROUP | (l->netns.make ? CLONE_NEWNET : 0),
        .fds = &l->sentry_fds,
        .keep_stderr = l->rq->attached,
        .become_zero = geteuid() == 0,
        .in_userns = cgroup_rootless_default(),
        .die_with_parent = l->rq->die_with_parent,
        .door = l->rq->door,
    };
    const int device_fd = platform_device(g_options.platform);
    int fd = config_fd(sentry_config(l, device_fd, e), e);
    pid_t pid = -1;

    if (fd >= 0) {
        c.config_number = fdset_add(&l->sentry_fds, fd, e);
        c.exe_number = fdset_add(&l->sentry_fds, l->exe_fd, e);
        if (c.exe_number >= 0)
            pid = spawn(&c, &l->sentry_go, e);
        close(fd);
    }
    if (device_fd >= 0)
        close(device_fd);
    return pid;
}

static int start_sentry(struct launch *l, struct sandbox *out, struct err *e)
{
    if (sandbox_netns_plan(l->rq->spec, sandbox_network(l->rq->standalone), &l->netns, e) < 0)
        return -1;
    if (sandbox_netns_enter(&l->netns, l->rq->spec, e) == 0)
        out->sentry_pid = spawn_sentry(l, e);
    sandbox_netns_end(&l->netns);
    return out->sentry_pid < 0 ? -1 : 0;
}

static void launch_close(struct launch *l)
{
    sandbox_trees_free(&l->trees);
    if (l->log_fd >= 0)
        close(l->log_fd);
    if (l->exe_fd >= 0)
        close(l->exe_fd);
    if (l->gofer_go >= 0)
        close(l->gofer_go);
    if (l->sentry_go >= 0)
        close(l->sentry_go);
}

static int prepare(struct launch *l, struct err *e)
{
    l->exe_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (l->exe_fd < 0)
        return err_errno(e, errno, "/proc/self/exe (is /proc mounted?)");
    if (g_options.log_path) {
        l->log_fd = open(g_options.log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (l->log_fd < 0)
            return err_errno(e, errno, "--log %s", g_options.log_path);
    } else if (g_options.debug &&
               l->rq->attached) { /* who reads our stderr to its end waits for us alone */
        l->log_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    return 0;
}

static struct launch *launch_new(const struct launch_request *rq, struct err *e)
{
    struct launch *l = calloc(1, sizeof(*l));

    if (!l) {
        (void)err_errno(e, ENOMEM, "launch");
        return NULL;
    }
    l->rq = rq;
    l->log_fd = l->exe_fd = l->gofer_go = l->sentry_go = -1;
    return l;
}

static int launch_end(struct launch *l, struct sandbox *out, int ret)
{
    launch_close(l);
    free(l);
    if (ret < 0)
        sandbox_destroy(out);
    return ret;
}

/* A request whose descriptors are l->sentry_fds, the configuration last. Consumes config. */
static int send_config(struct launch *l, const char *op, json_t *config, struct err *e)
{
    int config_number = config_fd(config, e), ret;
    json_t *rq, *reply;

    if (config_number < 0)
        return -1;
    if (l->sentry_fds.count >= CONTROL_FDS_MAX) {
        close(config_number);
        return err_set(e, "more than %d descriptors and bind mounts", CONTROL_FDS_MAX - 1);
    }
    l->sentry_fds.fd[l->sentry_fds.count] = config_number;
    rq = json_pack("{s:s}", "op", op);
    if (!strcmp(op, "exec"))
        json_object_set_new(rq, "id", json_string(l->rq->id));
    ret = control_send(l->rq->control_fd, rq, l->sentry_fds.fd, l->sentry_fds.count + 1, e);
    json_decref(rq);
    close(config_number);
    if (ret < 0)
        return ret;
    sandbox_trees_close_sessions(&l->trees);
    reply = control_receive(l->rq->control_fd, e);
    json_decref(reply);
    return reply ? 0 : -1;
}

struct launch *sandbox_prepare(const struct launch_request *rq, bool joins, struct sandbox *out,
                               struct err *e)
{
    struct launch *l = launch_new(rq, e);
    int ret;

    *out = (struct sandbox){.sentry_pid = -1, .gofer_pid = -1};
    if (!l) {
        if (!joins)
            close(rq->sentry_control_fd);
        return NULL;
    }
    l->joins = joins;
    log_phase("configuration");
    ret = prepare(l, e);
    if (ret == 0)
        ret = sandbox_trees_plan(&l->trees, l->rq, &l->sentry_fds, e);
    if (ret == 0 && !joins)
        ret = start_sentry(l, out, e);
    log_phase("sentry forked");
    if (!joins)
        close(rq->sentry_control_fd); /* so that the sentry's death is seen as end of file */
    if (ret == 0)
        return l;
    (void)launch_end(l, out, ret); /* ret again */
    return NULL;
}

pid_t sandbox_netns_owner(const struct launch *l, const struct sandbox *s)
{
    return l->netns.make && !strcmp(sandbox_network(l->rq->standalone), "host") ? s->sentry_pid : 0;
}

static int wait_until_created(struct launch *l, pid_t sentry, struct err *e)
{
    json_t *ready;

    if (let_go(l, sentry, &l->sentry_go, e) < 0)
        return -1;
    sandbox_trees_close_sessions(&l->trees);
    ready = control_receive(l->rq->control_fd, e);
    json_decref(ready);
    return ready ? 0 : -1;
}

int sandbox_finish(struct launch *l, struct sandbox *out, struct err *e)
{
    int ret = start_gofer(l, out, e);

    log_phase("gofer forked");
    if (ret == 0)
        ret = l->joins ? send_config(l, "create", container_config(l, e), e)
                       : wait_until_created(l, out->sentry_pid, e);
    log_phase("container created");
    return launch_end(l, out, ret);
}

void sandbox_cancel(struct launch *l, struct sandbox *out)
{
    if (l)
        (void)launch_end(l, out, -1); /* the caller's error is the one to tell */
}

int sandbox_add_process(const struct launch_request *rq, const json_t *process, struct err *e)
{
    struct sandbox none = {.sentry_pid = -1, .gofer_pid = -1};
    struct launch *l = launch_new(rq, e);
    json_t *config = json_pack("{s:s, s:o}", "id", rq->id, "process", json_deep_copy(process));

    if (!l || !config)
        return err_errno(e, ENOMEM, "exec");
    if (rq->cgroup)
        json_object_set_new(config, "cgroup", json_bytes(rq->cgroup));
    add_process_fds(l, config, e);
    return launch_end(l, &none, send_config(l, "exec", config, e));
}

void sandbox_destroy(struct sandbox *s)
{
    /* Both take down namespaces, which takes the host a while: at the same time. */
    if (s->sentry_pid > 0)
        kill(s->sentry_pid, SIGKILL);
    if (s->gofer_pid > 0)
        kill(s->gofer_pid, SIGKILL);
    if (s->sentry_pid > 0)
        waitpid(s->sentry_pid, NULL, 0);
    if (s->gofer_pid > 0)
        waitpid(s->gofer_pid, NULL, 0);
    *s = (struct sandbox){.sentry_pid = -1, .gofer_pid = -1};
}
