/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c list [--format table|json] [--quiet] */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/state.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"
#include "runsc-c/support/options.h"

static json_t *collect(struct err *e)
{
    json_t *list = json_array();
    struct dirent **names;
    int n = scandir(g_options.root, &names, NULL, alphasort);

    if (n < 0 && errno != ENOENT) {
        (void)err_errno(e, errno, "cannot read %s", g_options.root);
        json_decref(list);
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        struct err ignored = {0}; /* not a container, or one that is just being deleted */
        struct container c;

        if (container_load(names[i]->d_name, &c, &ignored) == 0) {
            json_array_append_new(list, container_oci_state(&c));
            container_destroy(&c);
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return list;
}

int cmd_list(int argc, char **argv, struct err *e)
{
    const char *format = "table";
    bool quiet = false, help = false;
    const struct option_def options[] = {
        {"format", 'f', OPTION_STRING, &format, "table or json"},
        {"quiet", 'q', OPTION_FLAG, &quiet, "ids only"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    int index = 1;
    json_t *list, *v;
    size_t i;

    if (options_parse(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c list [OPTIONS]\n\n");
        options_help(options);
        return 0;
    }
    if (strcmp(format, "table") && strcmp(format, "json"))
        return err_set(e, "invalid format option: %s", format);
    list = collect(e);
    if (!list)
        return -1;
    if (!strcmp(format, "json")) {
        json_dumpf(list, stdout, 0);
        putchar('\n');
    } else {
        if (!quiet)
            printf("%-24s %-8s %-9s %-32s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
        json_array_foreach(list, i, v)
        {
            if (quiet)
                printf("%s\n", json_get_string(v, "id", ""));
            else
                printf("%-24s %-8d %-9s %-32s %s\n", json_get_string(v, "id", ""),
                       (int)json_integer_value(json_object_get(v, "pid")),
                       json_get_string(v, "status", ""), json_get_string(v, "bundle", ""),
                       json_get_string(v, "created", ""));
        }
    }
    json_decref(list);
    return 0;
}
