/* SPDX-License-Identifier: Apache-2.0 */
/* The list of back ends and the choice among them. */
#include "platform/platform.h"

#include <stdio.h>
#include <string.h>

extern const struct platform_ops g_platform_ptrace_ops, g_platform_seccomp_ops;

const struct platform_ops *const g_platforms[] = {&g_platform_seccomp_ops, &g_platform_ptrace_ops,
                                                  NULL};

static bool matches(const struct platform_ops *ops, const char *name)
{
    if (strcmp(name, "auto") == 0)
        name = "ptrace";
    return strcmp(name, ops->name) == 0;
}

const struct platform_ops *platform_find(const char *name, struct platform_probe *out_probe)
{
    const struct platform_ops *only = NULL;
    unsigned count = 0;

    *out_probe = (struct platform_probe){0};
    if (strcmp(name, "systrap") == 0)
        name = "seccomp";
    for (size_t i = 0; g_platforms[i]; i++) {
        if (matches(g_platforms[i], name)) {
            only = g_platforms[i];
            count++;
        }
    }
    if (count == 0) {
        snprintf(out_probe->reason, sizeof(out_probe->reason),
                 "no platform \"%.32s\" in this build (there is: ptrace, auto)", name);
        return NULL;
    }
    if (count == 1) {
        /* Nothing to choose: start() finds out sooner than a probe would, and says why not. */
        out_probe->usable = true;
        snprintf(out_probe->reason, sizeof(out_probe->reason), "%s", "the only choice, not probed");
        return only;
    }
    for (size_t i = 0; g_platforms[i]; i++) {
        if (matches(g_platforms[i], name) && g_platforms[i]->probe(out_probe) == 0 &&
            out_probe->usable)
            return g_platforms[i];
    }
    return NULL;
}
