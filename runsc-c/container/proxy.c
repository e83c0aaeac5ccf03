/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child never executes anything: it is the command's own image with all but four descriptors
 * closed, so it costs few private pages. What it reads comes from the sentry, which may have been
 * taken over: bounded JSON messages of which one integer is used. Once it is let go it
 * has no capabilities, belongs to the container's user and cannot gain privileges.
 */
#include "runsc-c/container/proxy.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "runsc-c/cgroup/cgroup.h"
#include "runsc-c/container/others.h"
#include "runsc-c/container/relay.h"
#include "runsc-c/container/terminal.h"
#include "runsc-c/container/witness.h"
#include "runsc-c/oci/namespaces.h"
#include "runsc-c/sandbox/control.h"
#include "runsc-c/support/json.h"
#include "runsc-c/support/title.h"

/* ---- signals --------------------------------------------------------------------------------- */

/* Job control of the caller's shell, and faults, stay with us. */
static void forwarded_signals(sigset_t *set)
{
    static const int ours[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP, SIGABRT, SIGSYS,
                               SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGPIPE};

    sigfillset(set);
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++)
        sigdelset(set, ours[i]);
}

int proxy_catch_signals(struct err *e)
{
    sigset_t set;
    int fd;

    forwarded_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_errno(e, errno, "signalfd") : fd;
}

int proxy_exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- the child ------------------------------------------------------------------------------- */

struct child {
    const struct proxy_config *config;
    int go_fd, ready_fd, control_fd, tty_fd, exit_fd, signal_fd;
    struct witness witness;
    struct others others;
};

/* A mount namespace whose root is the container's root file system, so that tools that enter it
 * (podman cp) find the files. What cannot be done is left out: nothing else depends on it. */
static void enter_rootfs(const char *rootfs)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
        mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(rootfs) < 0 ||
        syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
        log_debug(LOG_CLI, "the proxy keeps the host's root: %s", strerror(errno));
    (void)!chdir("/");
}

static int let_go_of_stdio(struct err *e)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int i = 0; i < 3 && null >= 0; i++) {
        if (dup2(null, i) < 0)
            return err_errno(e, errno, "/dev/null");
    }
    return null < 0 ? err_errno(e, errno, "/dev/null") : 0;
}

static void close_others(const struct child *c)
{
    const int keep[] = {c->go_fd,     c->control_fd,       c->tty_fd,           c->exit_fd,
                        c->signal_fd, c->witness.limit_fd, c->witness.usage_fd, c->witness.proc_fd};
    unsigned next = 3;

    for (;;) {
        int lowest = -1;

        for (size_t i = 0; i < ARRAY_COUNT(keep); i++) {
            if (keep[i] >= (int)next && (lowest < 0 || keep[i] < lowest))
                lowest = keep[i];
        }
        if (lowest < 0)
            break;
        if (lowest > (int)next)
            (void)close_range(next, (unsigned)lowest - 1, 0);
        next = (unsigned)lowest + 1;
    }
    (void)close_range(next, ~0u, 0); /* a kernel without it leaves descriptors that end with us */
}

static void drop_privileges(const struct proxy_config *config)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    if (geteuid() == 0) {
        capng_clear(CAPNG_SELECT_ALL);
        if (setgroups(0, NULL) < 0 || setresgid(config->gid, config->gid, config->gid) < 0 ||
            capng_apply(CAPNG_SELECT_BOUNDS) != 0 ||
            setresuid(config->uid, config->uid, config->uid) < 0 ||
            capng_apply(CAPNG_SELECT_CAPS) != 0)
            log_debug(LOG_CLI, "the proxy keeps its identity: %s", strerror(errno));
    }
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void send_request(int fd, json_t *request)
{
    struct err ignored = {0}; /* a sentry that is gone is seen by the reader */

    if (request)
        (void)control_send(fd, request, NULL, 0, &ignored);
    json_decref(request);
}

static void forward_signals(const struct proxy_line *line)
{
    struct signalfd_siginfo info;

    while (read(line->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        int signo = (int)info.ssi_signo;

        if (signo == SIGCHLD || (signo == SIGHUP && line->controlling))
            continue; /* a hang-up of the terminal reaches the program through the terminal */
        if (signo == SIGWINCH && line->tty_fd >= 0)
            send_request(line->control_fd, terminal_resize_request(line->tty_fd));
        else
            send_request(line->control_fd,
                         json_pack("{s:s, s:i, s:b}", "op", "signal", "signo", signo, "quiet", 1));
    }
}

static void see_oom(const struct proxy_line *line, const json_t *number)
{
    if (line->witness)
        witness_oom(line->witness);
    send_request(line->control_fd, json_pack("{s:s, s:I, s:b}", "op", "oom_seen", "number",
                                             json_integer_value(number), "quiet", 1));
}

int proxy_serve(const struct proxy_line *line, bool start, struct err *e)
{
    struct pollfd fds[] = {{.fd = line->control_fd, .events = POLLIN},
                           {.fd = line->signal_fd, .events = POLLIN}};
    json_t *msg;

    /* The sentry tells the end without being asked. */
    if (start)
        send_request(line->control_fd, json_pack("{s:s, s:i, s:s}", "op", "start", "host_pid",
                                                 (int)getpid(), "quiet", "success"));
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return err_errno(e, errno, "poll");
        if (fds[1].revents)
            forward_signals(line);
        if (!fds[0].revents)
            continue;
        msg = control_receive(line->control_fd, e);
        if (!msg)
            return -1;
        if (json_is_integer(json_object_get(msg, "status"))) {
            int status = (int)json_integer_value(json_object_get(msg, "status"));

            json_decref(msg);
            return status;
        }
        if (json_is_integer(json_object_get(msg, "oom")))
            see_oom(line, json_object_get(msg, "oom"));
        if (line->others && json_is_integer(json_object_get(msg, "other")))
            others_add(line->others, (pid_t)json_integer_value(json_object_get(msg, "other")));
        json_decref(msg);
    }
}

static NORETURN void end_like(int status)
{
    if (WIFSIGNALED(status)) {
        sigset_t set;

        signal(WTERMSIG(status), SIG_DFL);
        sigfillset(&set);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        raise(WTERMSIG(status));
    }
    _exit(proxy_exit_code(status));
}

static NORETURN void child_run(struct child *c)
{
    struct err e = {0};
    int status;
    char go;

    if (read(c->go_fd, &go, 1) != 1)
        _exit(1); /* the caller gave up, or died */
    close(c->go_fd);
    c->go_fd = -1;
    drop_privileges(c->config);
    c->signal_fd = proxy_catch_signals(&e);
    if (c->signal_fd < 0)
        _exit(1);
    status = proxy_serve(&(struct proxy_line){c->control_fd, c->signal_fd, c->tty_fd,
                                              c->config->controlling, &c->witness, &c->others},
                         c->config->start, &e);
    if (status < 0)
        status = SIGKILL; /* the sandbox died: as if by SIGKILL */
    others_wait(&c->others);
    if (c->exit_fd >= 0)
        (void)!dprintf(c->exit_fd, "%d\n", proxy_exit_code(status));
    end_like(status);
}

static NORETURN void child_main(struct child *c)
{
    const struct proxy_config *config = c->config;
    struct err e = {0};
    int ret = cgroup_door_enter(config->door);

    if (ret < 0)
        ret = err_errno(&e, -ret, "cannot enter the cgroup");
    /* Engines read the command's output to its end. Before the root changes: an image has no null.
     */
    if (ret == 0)
        ret = let_go_of_stdio(&e);
    setsid();
    c->signal_fd = -1;
    witness_open_own(&c->witness);
    if (ret == 0 && config->join)
        ret = namespaces_join_process(config->join, &e);
    else if (ret == 0 && config->namespaces)
        ret = namespaces_enter(config->namespaces, config->network, config->hostname, &e);
    if (ret == 0 && c->tty_fd >= 0 && config->controlling && ioctl(c->tty_fd, TIOCSCTTY, 0) < 0)
        ret = err_errno(&e, errno, "controlling terminal");
    if (ret < 0) {
        (void)!dprintf(c->ready_fd, "%s", e.msg);
        _exit(1);
    }
    (void)!write(c->ready_fd, "", 1);
    if (config->rootfs)
        enter_rootfs(config->rootfs);
    title_set(config->args);
    (void)!write(c->ready_fd, "", 1);
    close_others(c);
    child_run(c);
}

/* ---- the parent ------------------------------------------------------------------------------ */

/* One NUL byte for each step that is done. Text: why one could not be. */
static int wait_for_step(int fd, struct err *e)
{
    char text[512] = "";
    ssize_t n;

    do {
        n = read(fd, text, 1);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return err_set(e, "the proxy process ended at once");
    if (!text[0])
        return 0;
    (void)!read(fd, text + 1, sizeof(text) - 2); /* written at once */
    return err_set(e, "%s", text);
}

int proxy_start(const struct proxy_config *config, struct proxy *out, struct err *e)
{
    struct child c = {.config = config,
                      .control_fd = config->control_fd,
                      .tty_fd = config->tty_fd,
                      .exit_fd = config->exit_fd,
                      .witness = config->witness ? *config->witness : (struct witness){-1, -1, -1}};
    int go[2], ready[2], ret;

    *out = PROXY_NONE;
    if (pipe2(go, O_CLOEXEC) < 0)
        return err_errno(e, errno, "pipe");
    if (pipe2(ready, O_CLOEXEC) < 0) {
        close(go[0]);
        close(go[1]);
        return err_errno(e, errno, "pipe");
    }
    fflush(NULL);
    out->pid = cgroup_door_clone(config->door, 0);
    if (out->pid == 0) {
        close(go[1]);
        close(ready[0]);
        c.go_fd = go[0];
        c.ready_fd = ready[1];
        child_main(&c);
    }
    close(go[0]);
    close(ready[1]);
    out->go_fd = go[1];
    out->settled_fd = ready[0];
    ret = out->pid < 0 ? err_errno(e, errno, "fork") : cgroup_door_admit(config->door, out->pid, e);
    if (ret == 0)
        ret = wait_for_step(ready[0], e);
    if (ret < 0)
        proxy_destroy(out);
    return ret;
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int proxy_settle(struct proxy *p, struct err *e)
{
    int ret = p->settled_fd < 0 ? 0 : wait_for_step(p->settled_fd, e);

    close_end(&p->settled_fd);
    return ret;
}

int proxy_go(struct proxy *p, struct err *e)
{
    int ret = write(p->go_fd, "g", 1) == 1 ? 0 : err_errno(e, errno, "the proxy process");

    close_end(&p->go_fd);
    return ret;
}

void proxy_destroy(struct proxy *p)
{
    close_end(&p->go_fd);
    close_end(&p->settled_fd);
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    *p = PROXY_NONE;
}

static void pass_signals_on(const struct proxy *p, int signal_fd)
{
    struct signalfd_siginfo info;

    while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGCHLD)
            kill(p->pid, (int)info.ssi_signo);
    }
}

int proxy_wait(struct proxy *p, int signal_fd, struct relay *relay, struct err *e)
{
    struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                           {.fd = relay->master, .events = POLLIN},
                           {.fd = STDIN_FILENO, .events = POLLIN}};
    int status;

    for (;;) {
        pid_t pid = waitpid(p->pid, &status, WNOHANG);

        if (pid == p->pid) {
            relay_copy(relay, /*input_ready=*/false);
            p->pid = -1;
            return proxy_exit_code(status);
        }
        if (pid < 0 && errno != EINTR)
            return err_errno(e, errno, "wait");
        fds[2].fd = relay->master >= 0 && relay->input_open ? STDIN_FILENO : -1;
        (void)poll(fds, 3, -1); /* SIGCHLD is one of them */
        if (fds[1].revents || fds[2].revents)
            relay_copy(relay, fds[2].revents != 0);
        if (fds[1].revents & POLLHUP)
            fds[1].fd = -1; /* waiting for the exit alone */
        pass_signals_on(p, signal_fd);
    }
}
