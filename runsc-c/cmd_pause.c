/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c pause, resume and wait. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/state.h"
#include "runsc-c/support/options.h"

static int change(const char *id, const char *op, const char *wanted, const char *refusal,
                  struct err *e)
{
    struct container c;
    json_t *reply = NULL;
    int lock = container_lock(id, e), ret;

    if (lock < 0)
        return -1;
    ret = container_load(id, &c, e);
    if (ret == 0) {
        if (container_is(&c, wanted) || (!strcmp(op, "pause") && container_is(&c, "created"))) {
            reply = container_request(&c, json_pack("{s:s}", "op", op), e);
            ret = reply ? 0 : -1;
        } else {
            ret = err_set(e, "%s", refusal);
        }
        json_decref(reply);
        container_destroy(&c);
    }
    close(lock);
    return ret;
}

int cmd_pause(int argc, char **argv, struct err *e)
{
    if (options_only_operands("pause", "ID", "Stops all processes of a container.", &argc, &argv, 1,
                              1, e) < 0)
        return e->msg[0] ? -1 : 0;
    return change(argv[0], "pause", "running", "container not running", e);
}

int cmd_resume(int argc, char **argv, struct err *e)
{
    if (options_only_operands("resume", "ID", "Lets a paused container go on.", &argc, &argv, 1, 1,
                              e) < 0)
        return e->msg[0] ? -1 : 0;
    return change(argv[0], "resume", "paused", "container not paused", e);
}

/* As runsc's: {"id":...,"exitStatus":N}. */
int cmd_wait(int argc, char **argv, struct err *e)
{
    struct container c;
    json_t *reply;
    int code = -1;

    if (options_only_operands("wait", "ID", "Waits for the end of a container.", &argc, &argv, 1, 1,
                              e) < 0)
        return e->msg[0] ? -1 : 0;
    if (container_load(argv[0], &c, e) < 0)
        return -1;
    if (!container_is(&c, "stopped")) {
        struct err ignored = {0}; /* a sandbox that ended meanwhile left its exit code */

        reply = container_request(&c, json_pack("{s:s}", "op", "wait"), &ignored);
        if (reply)
            code = (int)json_integer_value(json_object_get(reply, "status"));
        code = !reply ? -1 : (code & 127) ? 128 + (code & 127) : (code >> 8) & 255;
        json_decref(reply);
    }
    if (code < 0)
        code = container_exit_code(c.id);
    printf("{\"id\":\"%s\",\"exitStatus\":%d}\n", c.id, code < 0 ? 128 + 9 : code);
    container_destroy(&c);
    return 0;
}
