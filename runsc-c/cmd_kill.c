/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c kill [--all] ID [SIGNAL] */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/state.h"
#include "runsc-c/sandbox/control.h"
#include "runsc-c/support/options.h"
#include "runsc-c/support/signals.h"

int cmd_kill(int argc, char **argv, struct err *e)
{
    bool all = false, help = false;
    const struct option_def options[] = {
        {"all", 'a', OPTION_FLAG, &all, "signal every process of the container"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    struct container c;
    int index = 1, signo, fd;
    json_t *reply;

    if (options_parse(options, argc, argv, &index, e) < 0)
        return -1;
    if (help || index == argc || argc - index > 2) {
        printf("Usage: runsc-c kill [--all] ID [SIGNAL]\n\nSends SIGNAL (default TERM).\n\n");
        options_help(options);
        return help ? 0 : 1;
    }
    signo = index + 1 < argc ? signal_parse(argv[index + 1], e) : SIGTERM;
    if (signo < 0 || container_load(argv[index], &c, e) < 0)
        return -1;
    container_destroy(&c);
    if (!strcmp(container_status(&c), "stopped"))
        return all ? 0 : err_set(e, "container not running: %s", argv[index]);
    fd = container_connect(argv[index], e);
    if (fd < 0)
        return -1;
    reply = control_call(
        fd, json_pack("{s:s, s:i, s:b}", "op", "signal", "signo", signo, "all", all), e);
    close(fd);
    json_decref(reply);
    return reply ? 0 : -1;
}
