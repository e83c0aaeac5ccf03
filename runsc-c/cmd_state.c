/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c state ID */
#include <errno.h>
#include <stdio.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/state.h"
#include "runsc-c/support/options.h"

int cmd_state(int argc, char **argv, struct err *e)
{
    struct container c;
    json_t *state;

    if (options_only_operands("state", "ID", "Prints the state of a container as JSON.", &argc,
                              &argv, 1, 1, e) < 0)
        return e->msg[0] ? -1 : 0;
    if (container_load(argv[0], &c, e) < 0)
        return -1;
    state = container_oci_state(&c, NULL);
    container_destroy(&c);
    if (!state)
        return err_errno(e, ENOMEM, "state");
    json_dumpf(state, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(state);
    return 0;
}
