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
#include "runsc-c/support/users.h"

static json_t *describe(const struct container *c)
{
    json_t *v = container_oci_state(c, NULL);

    char name[64];

    user_name(c->owner, name, sizeof(name));
    json_object_set_new(v, "owner", json_string(name));
    return v;
}

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
            json_array_append_new(list, describe(&c));
            container_destroy(&c);
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return list;
}

/* Columns as wide as their widest cell and three more, at least twelve. */
static void print_table(const json_t *list)
{
    static const char *const names[] = {"id", "pid", "status", "bundle", "created", "owner"};
    int width[ARRAY_COUNT(names)];
    const json_t *v;
    size_t i, k;

    for (k = 0; k < ARRAY_COUNT(names); k++) {
        width[k] = 9;
        json_array_foreach(list, i, v)
        {
            int n = (int)strlen(json_get_string(v, names[k], ""));

            width[k] = n > width[k] ? n : width[k];
        }
        width[k] += 3;
    }
    printf("%-*s%-*s%-*s%-*s%-*s%s\n", width[0], "ID", width[1], "PID", width[2], "STATUS",
           width[3], "BUNDLE", width[4], "CREATED", "OWNER");
    json_array_foreach(list, i, v)
    {
        printf("%-*s%-*d%-*s%-*s%-*s%s\n", width[0], json_get_string(v, "id", ""), width[1],
               (int)json_integer_value(json_object_get(v, "pid")), width[2],
               json_get_string(v, "status", ""), width[3], json_get_string(v, "bundle", ""),
               width[4], json_get_string(v, "created", ""), json_get_string(v, "owner", ""));
    }
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

    if (options_parse_anywhere(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c list [OPTIONS]\n\n");
        options_help(options);
        return 0;
    }
    if (strcmp(format, "table") && strcmp(format, "json"))
        return err_set(e, "invalid format option");
    list = collect(e);
    if (!list)
        return -1;
    if (quiet) {
        json_array_foreach(list, i, v)
        {
            printf("%s\n", json_get_string(v, "id", ""));
        }
    } else if (!strcmp(format, "json")) {
        /* null for none, as runc's */
        if (json_array_size(list))
            json_dumpf(list, stdout, JSON_COMPACT);
        else
            printf("null");
        putchar('\n');
    } else {
        print_table(list);
    }
    json_decref(list);
    return 0;
}
