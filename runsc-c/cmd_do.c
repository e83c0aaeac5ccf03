/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c do [--] CMD ARGS...: the stand-alone launcher. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/run.h"
#include "runsc-c/container/terminal.h"
#include "runsc-c/oci/spec.h"
#include "runsc-c/sandbox/netns.h"
#include "runsc-c/support/options.h"

int cmd_do(int argc, char **argv, struct err *e)
{
    const char *cwd = NULL;
    bool help = false;
    const struct option_def options[] = {
        {"cwd", 0, OPTION_STRING, &cwd, "working directory inside (default: the current one)"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    char here[4096], id[32];
    int index = 1, ret;
    json_t *spec;

    if (options_parse(options, argc, argv, &index, e) < 0)
        return -1;
    if (help || index == argc) {
        printf("Usage: runsc-c [OPTIONS] do [--cwd DIR] [--] CMD [ARGS]\n\n"
               "Runs CMD in a sandbox that sees the host's files read-only below a throw-away\n"
               "overlay. The exit code is CMD's, 128+n when signal n ended it, 126 or 127 when it\n"
               "cannot be executed.\n\n");
        options_help(options);
        return help ? 0 : 1;
    }
    if (!cwd && !getcwd(here, sizeof(here)))
        return err_errno(e, errno, "current directory");
    snprintf(id, sizeof(id), "do-%d", getpid());
    spec = spec_for_do(argv + index, cwd ? cwd : here, terminal_find() >= 0);
    if (!spec)
        return err_errno(e, ENOMEM, "do");
    /* --network=host means the network that the caller sees. */
    if (!strcmp(sandbox_network(/*standalone=*/true), "host"))
        sandbox_netns_use_callers(spec);
    ret = run_standalone(id, spec, e);
    json_decref(spec);
    return ret;
}
