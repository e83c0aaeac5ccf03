/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c delete [--force] ID */
#include <stdio.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/create.h"
#include "runsc-c/support/options.h"

int cmd_delete(int argc, char **argv, struct err *e)
{
    bool force = false, help = false;
    const struct option_def options[] = {
        {"force", 'f', OPTION_FLAG, &force, "kill the container first if it is running"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    int index = 1;

    if (options_parse_anywhere(options, argc, argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c delete [--force] ID\n\nRemoves a stopped container.\n\n");
        options_help(options);
        return 0;
    }
    if (options_operands("delete", argc - index, 1, 1, e) < 0)
        return -1;
    return container_delete(argv[index], force, e);
}
