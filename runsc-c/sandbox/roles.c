/* SPDX-License-Identifier: Apache-2.0 */
/* The hidden roles: from `runsc-c internal-ROLE CONFIG_FD` to the entry points of the two
 * processes. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gofer/gofer.h"
#include "platform/base/log.h"
#include "runsc-c/sandbox/launch.h"
#include "sentry/boot/boot.h"
#include "sentry/boot/config.h"

static void name_process(int argc, char **argv, const char *name)
{
    /* What ps shows: the arguments are ours to overwrite up to the end of the last one. */
    size_t room = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]) + 1;

    memset(argv[0], 0, room);
    snprintf(argv[0], room, "%s", name);
}

int sandbox_sentry_main(int argc, char **argv)
{
    int fd = atoi(argv[2]);

    name_process(argc, argv, "runsc-c-sentry");
    return sentry_main(fd);
}

int sandbox_gofer_main(int argc, char **argv)
{
    json_t *config = boot_json_load(atoi(argv[2]), NULL), *v;
    const json_t *list = json_object_get(config, "trees"), *log = json_object_get(config, "log");
    struct gofer_tree *trees = calloc(json_array_size(list) + 1, sizeof(*trees));
    size_t i;

    if (!config || !trees)
        return 1;
    close(atoi(argv[2]));
    json_array_foreach(list, i, v)
    {
        trees[i] = (struct gofer_tree){
            .host_path = boot_bytes(json_object_get(v, "path")),
            .fd = (int)boot_int(v, "mount", -1),
            .conn_fd = (int)boot_int(v, "fd", -1),
            .alone = json_is_true(json_object_get(v, "alone")),
            .readonly = json_is_true(json_object_get(v, "readonly")),
        };
    }
    (void)log_phases_from((uint64_t)boot_int(log, "started", 0));
    log_init((int)boot_int(log, "fd", -1),
             strcmp(boot_string(log, "format", "text"), "json") ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON,
             json_is_true(json_object_get(log, "debug")) ? LOG_DEBUG : LOG_WARN, "gofer");
    name_process(argc, argv, "runsc-c-gofer");
    return gofer_main(&(struct gofer_config){.trees = trees,
                                             .count = json_array_size(list),
                                             .io = GOFER_IO_AUTO,
                                             .netns_fd = (int)boot_int(config, "netns", 0)});
}
