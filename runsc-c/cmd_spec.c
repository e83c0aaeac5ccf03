/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c spec [--bundle DIR] [--rootless]: writes an example config.json. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "runsc-c/cmd.h"
#include "runsc-c/oci/spec.h"
#include "runsc-c/support/json.h"
#include "runsc-c/support/options.h"

int cmd_spec(int argc, char **argv, struct err *e)
{
    const char *bundle = ".";
    bool help = false, rootless = false;
    const struct option_def options[] = {
        {"bundle", 'b', OPTION_STRING, &bundle, "directory to write config.json to (default: .)"},
        {"rootless", 0, OPTION_FLAG, &rootless, "for an unprivileged user"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    char path[4200];
    int index = 1, ret;
    json_t *spec;

    if (options_parse_anywhere(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c spec [OPTIONS]\n\nWrites an example config.json.\n\n");
        options_help(options);
        return 0;
    }
    snprintf(path, sizeof(path), "%s/config.json", bundle);
    if (access(path, F_OK) == 0)
        return err_set(e, "%s exists already; remove it first", path);
    spec = spec_example(rootless);
    if (!spec)
        return err_errno(e, ENOMEM, "spec");
    ret = json_save(spec, path, e);
    json_decref(spec);
    return ret;
}
