/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI resources are written in terms of cgroup v1; here they become writes to the files of the
 * container's control group, with the conversions that OCI run-times use for version 2. Limits of
 * things that a sandbox does not have (block I/O, huge pages, real-time) are the host's
 * business and are skipped. Rules about devices hold for the sandbox on the host and for guests here.
 */
#include "sentry/boot/resources.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/boot/config.h"
#include "sentry/fs/dev/rules.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/memcg.h"
#include "sentry/mm/memfile.h"
#include "sentry/proc/proc.h"

enum { OWN_MEMORY = 8 << 20 };

static int write_file(struct kcgroup *cg, const char *name, const char *text, struct boot_error *e)
{
    int ret = cgroup_file_write(cg, name, text);

    return ret < 0
               ? boot_error_set(e, 1, "linux.resources: %s \"%s\": %s", name, text, strerror(-ret))
               : 0;
}

/* -1 is "no limit", absence is "as it is". */
static int write_limit(struct kcgroup *cg, const char *name, const json_t *v, struct boot_error *e)
{
    char text[32] = "max";

    if (!json_is_integer(v))
        return 0;
    if (json_integer_value(v) >= 0)
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    return write_file(cg, name, text, e);
}

/*
 * What is left for guests of a host cgroup's limit: the host charges sentry, gofer, proxies, stubs and
 * their page tables to it as well. The guests' own OOM killer must act before the host's, which would
 * end the sandbox. The sandbox of one small program needs about 5 MiB, page tables grow with memory.
 */
static uint64_t guests_share(uint64_t limit)
{
    return limit - MIN(limit / 2, OWN_MEMORY + limit / 32);
}

static int memory(const json_t *m, struct kcgroup *cg, bool first, struct boot_error *e)
{
    int64_t limit = boot_int(m, "limit", 0), swap = boot_int(m, "swap", 0);
    int ret = limit == 0 ? 0 : write_limit(cg, "memory.max", json_object_get(m, "limit"), e);

    if (ret == 0 && first && limit > 0) {
        memcg_set_max(MEMCG_ROOT, guests_share((uint64_t)limit));
        memfile_exact();
    }
    if (ret == 0 && first && limit < 0)
        kernel_memory_unlimited();
    if (ret == 0 && boot_int(m, "reservation", 0) != 0)
        ret = write_limit(cg, "memory.low", json_object_get(m, "reservation"), e);
    /* Version 1 counts memory and swap together. */
    if (ret == 0 && limit > 0 && swap >= limit) {
        char text[32];

        snprintf(text, sizeof(text), "%" PRId64, swap - limit);
        ret = write_file(cg, "memory.swap.max", text, e);
    }
    return ret;
}

static int cpu(const json_t *c, struct kcgroup *cg, struct boot_error *e)
{
    int64_t shares = boot_int(c, "shares", 0), quota = boot_int(c, "quota", 0);
    int64_t period = boot_int(c, "period", 0);
    const char *cpus = boot_string(c, "cpus", "");
    char text[64];
    int ret = 0;

    if (shares > 0) {
        /* 2..262144 becomes 1..10000. */
        shares = MAX(2, MIN(shares, 262144));
        snprintf(text, sizeof(text), "%" PRId64, 1 + (shares - 2) * 9999 / 262142);
        ret = write_file(cg, "cpu.weight", text, e);
    }
    if (ret == 0 && (quota || period)) {
        if (quota > 0)
            snprintf(text, sizeof(text), "%" PRId64 " %" PRId64, quota, period ? period : 100000);
        else
            snprintf(text, sizeof(text), "max %" PRId64, period ? period : 100000);
        ret = write_file(cg, "cpu.max", text, e);
    }
    if (ret == 0 && *cpus)
        ret = write_file(cg, "cpuset.cpus", cpus, e);
    return ret;
}

int boot_resources(const json_t *resources, struct kcgroup *cg, bool first, struct boot_error *e)
{
    const json_t *pids = json_object_get(resources, "pids"), *v;
    const char *name;
    int ret = memory(json_object_get(resources, "memory"), cg, first, e);

    if (ret == 0)
        ret = cpu(json_object_get(resources, "cpu"), cg, e);
    if (ret == 0 && boot_int(pids, "limit", 0) != 0)
        ret = write_limit(cg, "pids.max", json_object_get(pids, "limit"), e);
    /* SAFETY: jansson's iteration macro wants a pointer to non-const and changes nothing. */
    json_object_foreach((json_t *)(uintptr_t)json_object_get(resources, "unified"), name, v)
    {
        if (ret < 0)
            break;
        ret = cgroup_file_write(cg, name, json_is_string(v) ? json_string_value(v) : "");
        if (ret == -ENOENT)
            ret = 0; /* a controller that is the host's business */
        else if (ret < 0)
            ret = boot_error_set(e, 1, "linux.resources.unified: %s: %s", name, strerror(-ret));
    }
    return ret;
}

int boot_devices(const json_t *list, struct dev_rules **out)
{
    size_t count = json_array_size(list), i;
    struct dev_rule *rules = count ? calloc(count, sizeof(*rules)) : NULL;
    const json_t *v;
    int ret;

    *out = NULL;
    if (!count)
        return 0;
    if (!rules)
        return -ENOMEM;
    json_array_foreach(list, i, v)
    {
        const char *access = boot_string(v, "access", "rwm"), *type = boot_string(v, "type", "");

        rules[i] = (struct dev_rule){
            .allow = json_is_true(json_object_get(v, "allow")),
            .type = *type ? *type : 'a',
            .major = boot_int(v, "major", -1),
            .minor = boot_int(v, "minor", -1),
            .access = (strchr(access, 'r') ? DEV_MAY_READ : 0) |
                      (strchr(access, 'w') ? DEV_MAY_WRITE : 0),
        };
    }
    ret = dev_rules_new(rules, count, out);
    free(rules);
    return ret;
}

/* A group below the container's own, by its path there. */
static int find_cgroup(struct kcgroup *top, const char *path, struct kcgroup **out)
{
    struct kcgroup *at = cgroup_get(top);

    for (const char *p = path; *p && at;) {
        size_t n = strcspn(p, "/");

        if (n && !(n == 1 && *p == '.')) {
            struct kcgroup *child = cgroup_child_get(at, p, n); /* no ".." among the names */

            cgroup_put(at);
            at = child;
        }
        p += n + (p[n] == '/');
    }
    *out = at;
    return at ? 0 : -ENOENT;
}

int boot_enter_cgroup(struct kcgroup *top, const char *path, struct task *t)
{
    struct kcgroup *cg;
    int ret = find_cgroup(top, path, &cg);

    if (ret < 0)
        return ret;
    ret = cgroup_put_task(cg, t);
    cgroup_put(cg);
    return ret;
}
