/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c kill [--all] ID [SIGNAL] */
#include <signal.h>
#include <stdio.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/state.h"
#include "runsc-c/support/options.h"
#include "runsc-c/support/signals.h"

static int send_signal(const struct container *c, int signo, bool all, struct err *e)
{
    json_t *reply;

    if (container_is(c, "stopped"))
        return all ? 0 : err_set(e, "container not running");
    reply = container_request(
        c, json_pack("{s:s, s:i, s:b}", "op", "signal", "signo", signo, "all", all), e);
    json_decref(reply);
    return reply ? 0 : -1;
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
