/* SPDX-License-Identifier: Apache-2.0 */
/* containers.conf.d: a file of our own. podman reads it at each start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runsc-c/install/install.h"

/* The directory of drop-ins, of the system or of the user who asks. Allocated. */
static char *drop_in(const struct install_request *rq)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *out = NULL;
    int n;

    if (geteuid() == 0 || *rq->prefix)
        n = asprintf(&out, "%s/etc/containers/containers.conf.d/50-%s.conf", rq->prefix, rq->name);
    else if (config && *config)
        n = asprintf(&out, "%s/containers/containers.conf.d/50-%s.conf", config, rq->name);
    else
        n = asprintf(&out, "%s/.config/containers/containers.conf.d/50-%s.conf", home ? home : "",
                     rq->name);
    return n < 0 ? NULL : out;
}

int install_podman(const struct install_request *rq, struct err *e)
{
    char *path = drop_in(rq), *old = NULL, *text = NULL;
    int ret = path ? install_read(path, &old, e) : err_set(e, "out of memory");

    /* podman gives a runtime no arguments of its own: they would need a script between. */
    if (ret == 0 && rq->arg_count && !rq->remove)
        fprintf(stderr, "runsc-c: podman passes no runtime arguments; ignored there\n");
    if (ret == 0 && asprintf(&text,
                             "# Written by `runsc-c install`; `runsc-c uninstall` removes it.\n"
                             "[engine.runtimes]\n%s = [\"%s\"]\n",
                             rq->name, rq->binary) < 0)
        ret = err_set(e, "out of memory");
    if (ret == 0) {
        if (rq->remove ? !old : old && !strcmp(old, text))
            printf("podman: %s in %s\n", rq->remove ? "not registered" : "already registered",
                   path);
        else
            ret = install_write(rq, path, rq->remove ? NULL : text, e);
    }
    free(text);
    free(old);
    free(path);
    return ret;
}
