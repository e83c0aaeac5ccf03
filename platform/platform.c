/* SPDX-License-Identifier: Apache-2.0 */
/* The list of back ends and the choice among them. */
#include "platform/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "platform/base/log.h"

extern const struct platform_ops g_platform_kvm_ops, g_platform_ptrace_ops, g_platform_seccomp_ops;

const struct platform_ops *const g_platforms[] = {&g_platform_kvm_ops, &g_platform_seccomp_ops,
                                                  &g_platform_ptrace_ops, NULL};

const struct platform_ops *platform_find(const char *name, struct platform_probe *out_probe)
{
    *out_probe = (struct platform_probe){0};
    if (strcmp(name, "systrap") == 0)
        name = "seccomp";
    for (size_t i = 0; g_platforms[i]; i++) {
        if (strcmp(name, g_platforms[i]->name) == 0) {
            out_probe->usable = true;
            snprintf(out_probe->reason, sizeof(out_probe->reason), "%s", "not probed");
            return g_platforms[i];
        }
    }
    snprintf(out_probe->reason, sizeof(out_probe->reason),
             "no platform \"%.32s\" in this build (there is: kvm, seccomp, ptrace, auto)", name);
    return NULL;
}

static bool wanted_by_auto(const struct platform_ops *ops)
{
    return !ops->preferred || ops->preferred();
}

int platform_device(const char *name)
{
    const bool all = strcmp(name, "auto") == 0;
    int fd = -1;

    for (size_t i = 0; fd < 0 && g_platforms[i]; i++) {
        const struct platform_ops *ops = g_platforms[i];

        if (ops->device && (all ? wanted_by_auto(ops) : strcmp(name, ops->name) == 0))
            fd = ops->device();
    }
    return MAX(fd, -1);
}

int platform_start(const char *name, const struct platform_config *wanted,
                   const struct platform_ops **out_ops, struct platform **out)
{
    struct platform_config config = *wanted;
    struct platform_probe probe;
    int ret = -ENOENT;

    if (strcmp(name, "auto") != 0) {
        *out_ops = platform_find(name, &probe);
        if (*out_ops)
            return (*out_ops)->start(&config, out);
        log_error(LOG_PLATFORM, "%s", probe.reason);
        return -ENOENT;
    }
    for (size_t i = 0; g_platforms[i]; i++) {
        if (!wanted_by_auto(g_platforms[i]))
            continue;
        config.fallback = g_platforms[i + 1] != NULL;
        *out_ops = g_platforms[i];
        ret = g_platforms[i]->start(&config, out);
        if (ret == 0)
            break;
    }
    return ret;
}
