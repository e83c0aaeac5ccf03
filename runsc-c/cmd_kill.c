/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c kill [--all] ID [SIGNAL] */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/state.h"
#include "runsc-c/sandbox/control.h"
#include "runsc-c/support/options.h"
#include "runsc-c/support/signals.h"

/* Did the sandbox end just now? Its socket goes a moment after the connection. */
static bool sandbox_gone(const struct container *c)
{
    for (int i = 0; i < 100; i++) {
        struct err ignored = {0};
        int fd = container_connect(c, &ignored);

        if (fd < 0)
            return true;
        close(fd);
        usleep(10000);
    }
    return false;
}

static int send_signal(const struct container *c, int signo, bool all, struct err *e)
{
    json_t *reply;
    int fd;

    if (container_is(c, "stopped"))
        return all ? 0 : err_set(e, "container not running");
    fd = container_connect(c, e);
    if (fd < 0)
        return -1;
    reply = control_call(
        fd,
        json_pack("{s:s, s:s, s:i, s:b}", "op", "signal", "id", c->id, "signo", signo, "all", all),
        e);
    close(fd);
    json_decref(reply);
    if (reply)
        return 0;
    if (!sandbox_gone(c))
        return -1;
    e->msg[0] = '\0'; /* it ended with the request in its hands, most likely of it */
    return 0;
}

int cmd_kill(int argc, char **argv, struct err *e)
{
    bool all = false, help = false;
    const struct option_def options[] = {
        {"all", 'a', OPTION_FLAG, &all, "signal every process of the container"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    struct container c;
    int index = 1, signo, ret;

    if (options_parse_anywhere(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c kill [--all] ID [SIGNAL]\n\nSends SIGNAL (default TERM).\n\n");
        options_help(options);
        return 0;
    }
    if (options_operands("kill", argc - index, 1, 2, e) < 0)
        return -1;
    signo = index + 1 < argc ? signal_parse(argv[index + 1], e) : SIGTERM;
    if (signo < 0 || container_load(argv[index], &c, e) < 0)
        return -1;
    ret = send_signal(&c, signo, all, e);
    container_destroy(&c);
    return ret;
}
