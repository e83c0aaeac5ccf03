/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c create and start: the two halves of run. */
#include <stdio.h>
#include <stdlib.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/create.h"
#include "runsc-c/oci/spec.h"
#include "runsc-c/support/options.h"

static int create(const char *bundle, struct create_request *rq, struct err *e)
{
    struct proxy proxy;
    char absolute[4096];
    json_t *spec;
    int ret;

    if (container_check_id(rq->id, e) < 0)
        return -1;
    spec = spec_load_bundle(bundle, absolute, sizeof(absolute), e);
    if (!spec)
        return -1;
    rq->bundle = absolute;
    rq->spec = spec;
    ret = container_preserved(json_object_get(spec, "process"), &rq->preserve_fds, e);
    if (ret == 0)
        ret = container_check_terminal(json_object_get(spec, "process"), /*detach=*/true,
                                       rq->console_socket, e);
    if (ret == 0)
        ret = container_create(rq, &proxy, e);
    json_decref(spec);
    return ret;
}

int cmd_create(int argc, char **argv, struct err *e)
{
    const char *bundle = ".";
    bool help = false, ignored = false;
    struct create_request rq = {.console_fd = -1};
    const struct option_def options[] = {
        {"bundle", 'b', OPTION_STRING, &bundle, "directory with config.json (default: .)"},
        {"console-socket", 0, OPTION_STRING, &rq.console_socket,
         "socket that gets the master of the container's terminal"},
        {"pid-file", 0, OPTION_STRING, &rq.pid_file, "file for the container's process id"},
        {"preserve-fds", 0, OPTION_INT, &rq.preserve_fds, "pass that many descriptors from 3 on"},
        {"no-pivot", 0, OPTION_FLAG, &ignored, "accepted for compatibility with runc"},
        {"no-new-keyring", 0, OPTION_FLAG, &ignored, "accepted for compatibility with runc"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    int index = 1;

    if (options_parse_anywhere(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c create [OPTIONS] ID\n\n"
               "Creates container ID from an OCI bundle; `start` lets its program run.\n\n");
        options_help(options);
        return 0;
    }
    if (options_operands("create", argc - index, 1, 1, e) < 0)
        return -1;
    rq.id = argv[index];
    return create(bundle, &rq, e) < 0 ? err_wrap(e, "create failed") : 0;
}

int cmd_start(int argc, char **argv, struct err *e)
{
    if (options_only_operands("start", "ID", "Lets the program of a created container run.", &argc,
                              &argv, 1, 1, e) < 0)
        return e->msg[0] ? -1 : 0;
    return container_start(argv[0], e);
}
