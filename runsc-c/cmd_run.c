/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c run [--bundle DIR] [--detach] ID: create, start, wait, delete. */
#include <stdio.h>
#include <stdlib.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/run.h"
#include "runsc-c/oci/spec.h"
#include "runsc-c/support/options.h"

int cmd_run(int argc, char **argv, struct err *e)
{
    const char *bundle = ".";
    bool help = false, ignored = false, detach = false, keep = false;
    struct create_request rq = {0};
    const struct option_def options[] = {
        {"bundle", 'b', OPTION_STRING, &bundle, "directory with config.json (default: .)"},
        {"console-socket", 0, OPTION_STRING, &rq.console_socket,
         "socket that gets the master of the container's terminal"},
        {"detach", 'd', OPTION_FLAG, &detach, "leave the container running in the background"},
        {"pid-file", 0, OPTION_STRING, &rq.pid_file, "file for the container's process id"},
        {"keep", 0, OPTION_FLAG, &keep, "do not delete the container after it exits"},
        {"preserve-fds", 0, OPTION_INT, &rq.preserve_fds, "pass that many descriptors from 3 on"},
        {"no-pivot", 0, OPTION_FLAG, &ignored, "accepted for compatibility with runc"},
        {"no-new-keyring", 0, OPTION_FLAG, &ignored, "accepted for compatibility with runc"},
        {"no-subreaper", 0, OPTION_FLAG, &ignored, "accepted for compatibility with runc"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    char absolute[4096];
    int index = 1, ret;
    json_t *spec;

    if (options_parse_anywhere(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c run [OPTIONS] ID\n\nRuns the OCI bundle as container ID.\n\n");
        options_help(options);
        return 0;
    }
    if (options_operands("run", argc - index, 1, 1, e) < 0)
        return -1;
    if (container_check_id(argv[index], e) < 0)
        return err_wrap(e, "run failed");
    spec = spec_load_bundle(bundle, absolute, sizeof(absolute), e);
    if (!spec)
        return err_wrap(e, "run failed");
    rq.id = argv[index];
    rq.bundle = absolute;
    rq.spec = spec;
    ret = container_preserved(json_object_get(spec, "process"), &rq.preserve_fds, e);
    if (ret == 0)
        ret = run_container(&rq, detach, keep, e);
    json_decref(spec);
    return ret < 0 ? err_wrap(e, "run failed") : ret;
}
