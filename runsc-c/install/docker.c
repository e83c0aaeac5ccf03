/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.json: one member of "runtimes". dockerd reloads it on SIGHUP. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runsc-c/install/install.h"

#define DAEMON_JSON "/etc/docker/daemon.json"

static json_t *entry(const struct install_request *rq)
{
    json_t *v = json_pack("{s:s}", "path", rq->binary), *args;

    if (rq->arg_count) {
        args = json_array();
        for (size_t i = 0; i < rq->arg_count; i++)
            json_array_append_new(args, json_string(rq->args[i]));
        json_object_set_new(v, "runtimeArgs", args);
    }
    return v;
}

/* The new text in *out (NULL: the file goes); false when nothing changes. */
static bool edit(const struct install_request *rq, json_t *daemon, char **out)
{
    json_t *runtimes = json_object_get(daemon, "runtimes"), *want = entry(rq);
    bool changed;

    if (rq->remove) {
        changed = json_object_get(runtimes, rq->name) != NULL;
        if (changed)
            json_object_del(runtimes, rq->name);
        if (changed && json_object_size(runtimes) == 0)
            json_object_del(daemon, "runtimes");
    } else {
        if (!runtimes) {
            json_object_set_new(daemon, "runtimes", json_object());
            runtimes = json_object_get(daemon, "runtimes");
        }
        changed = !json_equal(json_object_get(runtimes, rq->name), want);
        json_object_set(runtimes, rq->name, want);
    }
    json_decref(want);
    *out = NULL;
    if (changed && json_object_size(daemon)) {
        char *text = json_dumps(daemon, JSON_INDENT(4));

        if (text && asprintf(out, "%s\n", text) < 0)
            *out = NULL;
        free(text);
    }
    return changed;
}

int install_docker(const struct install_request *rq, struct err *e)
{
    char *path = install_path(rq, DAEMON_JSON), *text = NULL, *edited = NULL;
    json_error_t error;
    json_t *daemon = NULL;
    int ret = path ? install_read(path, &text, e) : err_set(e, "out of memory");

    if (ret == 0) {
        daemon = text && text[strspn(text, " \t\r\n")]
                     ? json_loads(text, JSON_REJECT_DUPLICATES, &error)
                     : json_object();
        if (!json_is_object(daemon) || (json_object_get(daemon, "runtimes") &&
                                        !json_is_object(json_object_get(daemon, "runtimes"))))
            ret = daemon ? err_set(e, "%s: not an object with \"runtimes\" as Docker has it", path)
                         : err_set(e, "%s:%d: %s: left as it is", path, error.line, error.text);
    }
    if (ret == 0) {
        if (edit(rq, daemon, &edited))
            ret = install_write(rq, path, edited, e);
        else
            printf("docker: %s in %s\n", rq->remove ? "not registered" : "already registered",
                   path);
    }
    json_decref(daemon);
    free(edited);
    free(text);
    free(path);
    return ret;
}
