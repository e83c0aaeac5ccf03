/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreground: this process forwards its signals to the container's first process and resizes of its
 * terminal to the console, and leaves with the container's exit code. The sandbox dies with it.
 * Detached: everything long-lived is in the sentry and the gofer; this process leaves at once.
 */
#include "runsc-c/container/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "runsc-c/container/state.h"
#include "runsc-c/container/terminal.h"
#include "runsc-c/sandbox/control.h"
#include "runsc-c/sandbox/launch.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

struct foreground {
    struct sandbox sandbox;
    int signal_fd, console_fd;
    sigset_t old_mask;
};

/* Everything that may be forwarded; job control of the caller's shell stays with us. */
static int catch_signals(sigset_t *old, struct err *e)
{
    static const int ours[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP, SIGABRT, SIGSYS,
                               SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGPIPE};
    sigset_t set;
    int fd;

    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++)
        sigdelset(&set, ours[i]);
    sigprocmask(SIG_BLOCK, &set, old);
    signal(SIGPIPE, SIG_IGN);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_errno(e, errno, "signalfd") : fd;
}

static int post(int fd, json_t *request, struct err *e)
{
    int ret = request ? control_send(fd, request, NULL, 0, e) : 0;

    json_decref(request);
    return ret;
}

static void forward_signals(struct foreground *f)
{
    struct signalfd_siginfo info;
    struct err ignored = {0}; /* a sandbox that is gone is noticed by the reader of its socket */

    while (read(f->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        if (info.ssi_signo == SIGWINCH && f->console_fd >= 0)
            (void)post(f->sandbox.control_fd, terminal_resize_request(f->console_fd), &ignored);
        else if (info.ssi_signo != SIGWINCH)
            (void)post(f->sandbox.control_fd,
                       json_pack("{s:s, s:i, s:b}", "op", "signal", "signo", (int)info.ssi_signo,
                                 "quiet", 1),
                       &ignored);
    }
}

static int exit_code(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* Until the sentry says that the first process ended, or is gone itself. */
static int wait_for_exit(struct foreground *f, struct err *e)
{
    struct pollfd fds[] = {{.fd = f->sandbox.control_fd, .events = POLLIN},
                           {.fd = f->signal_fd, .events = POLLIN}};

    /* In this order: a sandbox whose program ends at once is gone before a second request. */
    if (post(f->sandbox.control_fd, json_pack("{s:s}", "op", "wait"), e) < 0 ||
        post(f->sandbox.control_fd, json_pack("{s:s}", "op", "start"), e) < 0)
        return -1;
    for (;;) {
        json_t *msg;

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return err_errno(e, errno, "poll");
        if (fds[1].revents)
            forward_signals(f);
        if (!fds[0].revents)
            continue;
        msg = control_receive(f->sandbox.control_fd, e);
        if (!msg)
            return -1;
        if (json_object_get(msg, "status")) {
            int status = (int)json_integer_value(json_object_get(msg, "status"));

            json_decref(msg);
            return exit_code(status);
        }
        json_decref(msg);
    }
}

static int write_pid_file(const char *path, pid_t pid, struct err *e)
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

static int open_strace(struct err *e)
{
    int fd;

    if (!g_options.strace)
        return -1;
    if (!*g_options.strace)
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    fd = open(g_options.strace, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0644);
    return fd < 0 ? err_errno(e, errno, "--strace=%s", g_options.strace) : fd;
}

static int stdio_or_closed(int fd)
{
    return g_options.stdio_closed[fd] ? -1 : fd;
}

static int launch(const struct container_run *rq, struct foreground *f, int listen_fd,
                  struct err *e)
{
    struct launch_request launch_rq = {
        .id = rq->id,
        .spec = rq->spec,
        .bundle = rq->bundle,
        .stdio = {stdio_or_closed(0), stdio_or_closed(1), stdio_or_closed(2)},
        .console_fd = f->console_fd,
        .listen_fd = listen_fd,
        .strace_fd = open_strace(e),
        .preserve_fds = (int)rq->preserve_fds,
        .standalone = rq->ephemeral,
        .die_with_parent = !rq->detach,
    };
    int ret = e->msg[0] ? -1 : sandbox_launch(&launch_rq, &f->sandbox, e);

    if (launch_rq.strace_fd >= 0)
        close(launch_rq.strace_fd);
    return ret;
}

static int save_state(const struct container_run *rq, const struct foreground *f, struct err *e)
{
    struct container c = {.started = true};

    snprintf(c.id, sizeof(c.id), "%s", rq->id);
    snprintf(c.bundle, sizeof(c.bundle), "%s", rq->bundle);
    c.annotations = json_object_get(rq->spec, "annotations");
    container_set_pid(&c, f->sandbox.sentry_pid);
    return container_save(&c, e);
}

static int detach(struct foreground *f, struct err *e)
{
    json_t *reply = control_call(f->sandbox.control_fd, json_pack("{s:s}", "op", "start"), e);

    if (!reply)
        return -1;
    json_decref(reply);
    close(f->sandbox.control_fd);
    f->sandbox = (struct sandbox){.sentry_pid = -1, .gofer_pid = -1, .control_fd = -1};
    return 0;
}

static int run_with_state(const struct container_run *rq, struct foreground *f, struct err *e)
{
    int listen_fd = rq->ephemeral ? -1 : container_listen(rq->id, e);
    int ret;

    if (!rq->ephemeral && listen_fd < 0)
        return -1;
    ret = launch(rq, f, listen_fd, e);
    if (listen_fd >= 0)
        close(listen_fd);
    if (ret < 0)
        return -1;
    if ((!rq->ephemeral && save_state(rq, f, e) < 0) ||
        (rq->pid_file && write_pid_file(rq->pid_file, f->sandbox.sentry_pid, e) < 0))
        return -1;
    if (rq->detach)
        return detach(f, e);
    return wait_for_exit(f, e);
}

int container_run(const struct container_run *rq, struct err *e)
{
    bool terminal = json_is_true(json_object_get(json_object_get(rq->spec, "process"), "terminal"));
    struct foreground f = {.console_fd = -1,
                           .sandbox = {.sentry_pid = -1, .gofer_pid = -1, .control_fd = -1}};
    int ret;

    if (terminal) {
        if (rq->detach)
            return err_set(e, "process.terminal is true: a detached container needs a console; set "
                              "it to false or run in the foreground");
        f.console_fd = terminal_find();
        if (f.console_fd < 0)
            return err_set(e, "process.terminal is true but stdin and stdout are not a terminal");
    }
    if (!rq->ephemeral && container_make_dir(rq->id, e) < 0)
        return -1;
    f.signal_fd = catch_signals(&f.old_mask, e);
    ret = f.signal_fd < 0 ? -1 : 0;
    if (ret == 0 && f.console_fd >= 0)
        ret = terminal_raw(f.console_fd, e);
    if (ret == 0)
        ret = run_with_state(rq, &f, e);
    sandbox_destroy(&f.sandbox);
    terminal_restore();
    if (!rq->ephemeral && !rq->keep && (!rq->detach || ret < 0)) {
        struct err ignored = {0}; /* the run's own result matters more */

        (void)container_remove_dir(rq->id, &ignored);
    }
    return ret;
}
