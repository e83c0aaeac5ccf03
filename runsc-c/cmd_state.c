/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c state ID */
#include <errno.h>
#include <stdio.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/state.h"

int cmd_state(int argc, char **argv, struct err *e)
{
    struct container c;
    json_t *state;

    if (argc != 2)
        return err_set(e, "usage: runsc-c state ID");
    if (container_load(argv[1], &c, e) < 0)
        return -1;
    state = container_oci_state(&c);
    container_destroy(&c);
    if (!state)
        return err_errno(e, ENOMEM, "state");
    json_dumpf(state, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(state);
    return 0;
}
