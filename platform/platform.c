/* SPDX-License-Identifier: Apache-2.0 */
/* The list of back ends and the choice among them. */
#include "platform/platform.h"

#include <stdio.h>
#include <string.h>

extern const struct platform_ops g_platform_ptrace_ops;

const struct platform_ops *const g_platforms[] = {&g_platform_ptrace_ops, NULL};

const struct platform_ops *platform_find(const char *name, struct platform_probe *out_probe)
{
    bool any = strcmp(name, "auto") == 0;

    *out_probe = (struct platform_probe){0};
    if (strcmp(name, "systrap") == 0)
        name = "seccomp";
    for (size_t i = 0; g_platforms[i]; i++) {
        const struct platform_ops *ops = g_platforms[i];

        if (!any && strcmp(name, ops->name) != 0)
            continue;
        if (ops->probe(out_probe) == 0 && out_probe->usable)
            return ops;
        if (!any)
            return NULL;
    }
    if (!any)
        snprintf(out_probe->reason, sizeof(out_probe->reason),
                 "no platform \"%.32s\" in this build (there is: ptrace, auto)", name);
    return NULL;
}
