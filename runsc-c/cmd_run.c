/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c run [--bundle DIR] [--detach] ID: create, start, wait, delete. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/run.h"
#include "runsc-c/container/state.h"
#include "runsc-c/oci/spec.h"
#include "runsc-c/support/options.h"

int cmd_run(int argc, char **argv, struct err *e)
{
    const char *bundle = ".";
    bool help = false, no_pivot = false;
    struct container_run rq = {0};
    const struct option_def options[] = {
        {"bundle", 'b', OPTION_STRING, &bundle, "directory with config.json (default: .)"},
        {"detach", 'd', OPTION_FLAG, &rq.detach, "leave the container running in the background"},
        {"pid-file", 0, OPTION_STRING, &rq.pid_file, "file for the sandbox's process id"},
        {"keep", 0, OPTION_FLAG, &rq.keep, "do not delete the container after it exits"},
        {"preserve-fds", 0, OPTION_INT, &rq.preserve_fds, "pass that many descriptors from 3 on"},
        {"no-pivot", 0, OPTION_FLAG, &no_pivot, "accepted for compatibility with runc"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    char absolute[4096];
    int index = 1, ret;
    json_t *spec;

    if (options_parse(options, argc, argv, &index, e) < 0)
        return -1;
    if (help || index + 1 != argc) {
        printf("Usage: runsc-c run [OPTIONS] ID\n\nRuns the OCI bundle as container ID.\n\n");
        options_help(options);
        return help ? 0 : 1;
    }
    if (container_check_id(argv[index], e) < 0)
        return -1;
    if (!realpath(bundle, absolute))
        return err_errno(e, errno, "bundle %s", bundle);
    spec = spec_load(absolute, e);
    if (!spec)
        return -1;
    rq.id = argv[index];
    rq.bundle = absolute;
    rq.spec = spec;
    ret = container_run(&rq, e);
    json_decref(spec);
    return ret;
}
