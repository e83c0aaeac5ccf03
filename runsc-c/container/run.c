/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreground: this process passes its signals on and waits; the sandbox dies with it. Detached:
 * everything long-lived is in the proxy, the sentry and the gofer; this process leaves at once.
 */
#include "runsc-c/container/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "runsc-c/container/relay.h"
#include "runsc-c/container/terminal.h"
#include "runsc-c/sandbox/launch.h"
#include "runsc-c/support/globals.h"

/* The caller's terminal in raw mode, a relay's, or -1 when the program wants none. */
static int own_console(const json_t *spec, int *out_fd, struct relay *relay, struct err *e)
{
    const json_t *process = json_object_get(spec, "process");

    *out_fd = -1;
    *relay = (struct relay){.master = -1};
    if (!json_is_true(json_object_get(process, "terminal")))
        return 0;
    *out_fd = terminal_find();
    if (*out_fd >= 0)
        return terminal_raw(*out_fd, e);
    *out_fd = relay_open(relay, json_object_get(process, "consoleSize"), e);
    return *out_fd < 0 ? -1 : 0;
}

static int stdio_or_closed(int fd)
{
    return g_options.stdio_closed[fd] ? -1 : fd;
}

static int standalone(const char *id, const json_t *spec, int console_fd, struct sandbox *sandbox,
                      struct err *e)
{
    struct launch_request launch = {
        .id = id,
        .spec = spec,
        .bundle = "/",
        .stdio = {stdio_or_closed(0), stdio_or_closed(1), stdio_or_closed(2)},
        .console_fd = console_fd,
        .listen_fd = -1,
        .overlay = g_options.overlay ? g_options.overlay : "root:memory",
        .standalone = true,
        .die_with_parent = true,
        .attached = true,
    };
    struct launch *l;
    int control[2], signal_fd, ret;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return err_errno(e, errno, "socketpair");
    launch.control_fd = control[0];
    launch.sentry_control_fd = control[1];
    launch.strace_fd = container_open_strace(e);
    signal_fd = e->msg[0] ? -1 : proxy_catch_signals(e);
    l = signal_fd < 0 ? NULL : sandbox_prepare(&launch, /*joins=*/false, sandbox, e);
    if (signal_fd < 0)
        close(control[1]);
    ret = l ? sandbox_finish(l, sandbox, e) : -1;
    if (launch.strace_fd >= 0)
        close(launch.strace_fd);
    if (ret == 0)
        ret =
            proxy_serve(&(struct proxy_line){control[0], signal_fd, console_fd, false, NULL, NULL},
                        /*start=*/true, e);
    close(control[0]);
    return ret < 0 ? -1 : proxy_exit_code(ret);
}

int run_standalone(const char *id, const json_t *spec, struct err *e)
{
    struct sandbox sandbox = {.sentry_pid = -1, .gofer_pid = -1};
    bool terminal = json_is_true(json_object_get(json_object_get(spec, "process"), "terminal"));
    int console_fd = terminal ? terminal_find() : -1; /* spec_for_do asks for one that is there */
    int ret = console_fd >= 0 ? terminal_raw(console_fd, e) : 0;

    if (ret == 0)
        ret = standalone(id, spec, console_fd, &sandbox, e);
    sandbox_destroy(&sandbox);
    terminal_restore();
    return ret;
}

static int start_and_wait(const struct create_request *rq, struct proxy *proxy, struct relay *relay,
                          bool detach, struct err *e)
{
    int signal_fd = detach ? -1 : proxy_catch_signals(e), ret;

    if (!detach && signal_fd < 0)
        return -1;
    if (container_start(rq->id, e) < 0)
        return -1;
    if (detach)
        return 0;
    ret = proxy_wait(proxy, signal_fd, relay, e);
    close(signal_fd);
    return ret;
}

int run_container(struct create_request *rq, bool detach, bool keep, struct err *e)
{
    struct proxy proxy = PROXY_NONE;
    struct relay relay = {.master = -1};
    struct err ignored = {0}; /* the run's own result matters more */
    int ret;

    rq->console_fd = -1;
    rq->attached = !detach;
    if (container_check_terminal(json_object_get(rq->spec, "process"), detach, rq->console_socket,
                                 e) < 0)
        return -1;
    if (!detach && own_console(rq->spec, &rq->console_fd, &relay, e) < 0)
        return -1;
    ret = container_create(rq, &proxy, e);
    if (relay.master >= 0)
        close(rq->console_fd); /* the sandbox's alone */
    if (ret == 0) {
        ret = start_and_wait(rq, &proxy, &relay, detach, e);
        if (ret < 0 || (!detach && !keep)) {
            (void)container_delete(rq->id, /*force=*/true, &ignored);
            proxy_destroy(&proxy);
        }
    }
    terminal_restore();
    relay_close(&relay);
    return ret;
}
