/* SPDX-License-Identifier: Apache-2.0 */
/* config.toml: tables at the end, between two marks. containerd reads it when it starts. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runsc-c/install/install.h"

#define CONFIG_TOML "/etc/containerd/config.toml"

/* "version = N" before the first table; 1 when it is not said (containerd's rule). */
static int config_version(const char *text)
{
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        p += strspn(p, " \t");
        if (*p == '[')
            break;
        if (!strncmp(p, "version", 7) && p[7 + strspn(p + 7, " \t")] == '=')
            return atoi(p + 7 + strspn(p + 7, " \t="));
    }
    return 1;
}

static const char *cri_plugin(int version)
{
    switch (version) {
    case 1:
        return "cri";
    case 2:
        return "\"io.containerd.grpc.v1.cri\"";
    case 3:
        return "\"io.containerd.cri.v1.runtime\"";
    default:
        return NULL;
    }
}

/* Our block of text, first mark to the end of the last one's line; false when there is none. */
static bool find_block(const char *text, const char *name, size_t *from, size_t *to)
{
    char mark[128];
    const char *begin, *end;

    snprintf(mark, sizeof(mark), "# BEGIN %s (runsc-c install)\n", name);
    begin = strstr(text, mark);
    snprintf(mark, sizeof(mark), "# END %s (runsc-c install)\n", name);
    end = begin ? strstr(begin, mark) : NULL;
    if (!end)
        return false;
    *from = (size_t)(begin - text);
    *to = (size_t)(end - text) + strlen(mark);
    return true;
}

static char *make_block(const struct install_request *rq, int version)
{
    const char *plugin = cri_plugin(version);
    char *out;

    if (asprintf(&out,
                 "# BEGIN %s (runsc-c install)\n"
                 "[plugins.%s.containerd.runtimes.%s]\n"
                 "  runtime_type = \"io.containerd.runc.v2\"\n"
                 "  pod_annotations = [\"dev.gvisor.*\", \"org.runsc-c.*\"]\n"
                 "  [plugins.%s.containerd.runtimes.%s.options]\n"
                 "    BinaryName = \"%s\"\n"
                 "# END %s (runsc-c install)\n",
                 rq->name, plugin, rq->name, plugin, rq->name, rq->binary, rq->name) < 0)
        return NULL;
    return out;
}

/* The same table written by somebody else: two of them would stop containerd. */
static bool defined_elsewhere(const char *text, const char *name)
{
    char needle[160];

    snprintf(needle, sizeof(needle), ".containerd.runtimes.%s]", name);
    if (strstr(text, needle))
        return true;
    snprintf(needle, sizeof(needle), ".containerd.runtimes.\"%s\"]", name);
    return strstr(text, needle) != NULL;
}

/* The text without our block and with block (may be "") at the end. */
static char *edit(const char *old, const char *name, const char *block)
{
    size_t from = 0, to = 0, len = strlen(old);
    bool newline;
    char *out;

    if (!find_block(old, name, &from, &to))
        from = to = len;
    newline = *block && len > to - from && from + (len - to) > 0 &&
              (to < len ? old[len - 1] : old[from - 1]) != '\n';
    if (asprintf(&out, "%.*s%s%s%s", (int)from, old, old + to, newline ? "\n" : "", block) < 0)
        return NULL;
    return out;
}

static bool is_only_version(const char *text)
{
    return !strcmp(text, "version = 2\n");
}

int install_containerd(const struct install_request *rq, struct err *e)
{
    char *path = install_path(rq, CONFIG_TOML), *old = NULL, *block = NULL, *text = NULL;
    const char *base;
    int ret = path ? install_read(path, &old, e) : err_set(e, "out of memory");

    base = old ? old : "version = 2\n";
    if (ret == 0 && !cri_plugin(config_version(base)))
        ret = err_set(e, "%s: version %d is not known here: left as it is", path,
                      config_version(base));
    if (ret == 0) {
        block = rq->remove ? strdup("") : make_block(rq, config_version(base));
        text = block ? edit(base, rq->name, "") : NULL;
        if (text && !rq->remove && defined_elsewhere(text, rq->name))
            ret = err_set(e, "%s: a runtime %s is defined there already, not by `runsc-c install`",
                          path, rq->name);
        free(text);
        text = ret == 0 && block ? edit(base, rq->name, block) : NULL;
        if (ret == 0 && !text)
            ret = err_set(e, "out of memory");
    }
    if (ret == 0) {
        if (old ? !strcmp(old, text) : rq->remove)
            printf("containerd: %s in %s\n", rq->remove ? "not registered" : "already registered",
                   path);
        else
            ret = install_write(rq, path, rq->remove && is_only_version(text) ? NULL : text, e);
    }
    free(text);
    free(block);
    free(old);
    free(path);
    return ret;
}
