/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources in a v2 tree. The configuration speaks v1: numbers are converted as the OCI specification and
 * runc do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runsc-c/cgroup/cgroup_internal.h"
#include "runsc-c/support/json.h"

static bool number(const json_t *obj, const char *name, int64_t *out)
{
    const json_t *v = json_object_get(obj, name);

    if (!json_is_integer(v))
        return false;
    *out = json_integer_value(v);
    return *out != 0;
}

static int set_max(const char *dir, const char *file, int64_t v, struct err *e)
{
    return v < 0 ? cgroup_set(dir, file, "max", e) : cgroup_set_int(dir, file, v, e);
}

static int apply_memory(const char *dir, const json_t *m, struct err *e)
{
    int64_t limit = 0, swap = 0, low = 0;

    (void)number(m, "limit", &limit);
    /* v1's swap is memory plus swap. */
    if (number(m, "swap", &swap) && swap > 0) {
        if (limit <= 0)
            return err_set(e, "unable to set swap limit without memory limit");
        if (swap < limit)
            return err_set(e, "memory+swap limit should be >= memory limit");
        if (cgroup_set_int(dir, "memory.swap.max", swap - limit, e) < 0)
            return -1;
    } else if (swap < 0 || limit == -1) {
        if (cgroup_file_exists(dir, "memory.swap.max") &&
            cgroup_set(dir, "memory.swap.max", "max", e) < 0)
            return -1;
    }
    if (limit && set_max(dir, "memory.max", limit, e) < 0)
        return -1;
    return number(m, "reservation", &low) ? set_max(dir, "memory.low", low, e) : 0;
}

int64_t cgroup_cpu_weight(int64_t shares)
{
    shares = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
    return 1 + (shares - 2) * 9999 / 262142;
}

int64_t cgroup_io_weight(int64_t weight)
{
    return 1 + (weight - 10) * 9999 / 990;
}

static int apply_cpu(const char *dir, const json_t *c, struct err *e)
{
    int64_t shares, quota = 0, period = 0, v;
    const char *cpus = json_get_string(c, "cpus", ""), *mems = json_get_string(c, "mems", "");
    char text[64];

    if (number(c, "shares", &shares) &&
        cgroup_set_int(dir, "cpu.weight", cgroup_cpu_weight(shares), e) < 0)
        return -1;
    (void)number(c, "quota", &quota);
    (void)number(c, "period", &period);
    if (quota || period) {
        if (period == 0)
            period = 100000;
        if (quota > 0)
            snprintf(text, sizeof(text), "%lld %lld", (long long)quota, (long long)period);
        else
            snprintf(text, sizeof(text), "max %lld", (long long)period);
        if (cgroup_set(dir, "cpu.max", text, e) < 0)
            return -1;
    }
    if (number(c, "burst", &v) && cgroup_set_int(dir, "cpu.max.burst", v, e) < 0)
        return -1;
    if (number(c, "idle", &v) && cgroup_set_int(dir, "cpu.idle", v, e) < 0)
        return -1;
    if (*cpus && cgroup_set(dir, "cpuset.cpus", cpus, e) < 0)
        return -1;
    return *mems ? cgroup_set(dir, "cpuset.mems", mems, e) : 0;
}

static int io_rows(const char *dir, const json_t *list, const char *key, struct err *e)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        int64_t major = 0, minor = 0, rate = 0;
        char text[128];

        (void)number(v, "major", &major);
        (void)number(v, "minor", &minor);
        if (number(v, "rate", &rate))
            snprintf(text, sizeof(text), "%lld:%lld %s=%lld", (long long)major, (long long)minor,
                     key, (long long)rate);
        else
            snprintf(text, sizeof(text), "%lld:%lld %s=max", (long long)major, (long long)minor,
                     key);
        if (cgroup_set(dir, "io.max", text, e) < 0)
            return -1;
    }
    return 0;
}

static int apply_io(const char *dir, const json_t *b, struct err *e)
{
    int64_t weight;

    if (number(b, "weight", &weight)) {
        if (cgroup_file_exists(dir, "io.bfq.weight")) {
            if (cgroup_set_int(dir, "io.bfq.weight", weight, e) < 0)
                return -1;
        } else if (cgroup_set_int(dir, "io.weight", cgroup_io_weight(weight), e) < 0) {
            return -1;
        }
    }
    if (io_rows(dir, json_object_get(b, "throttleReadBpsDevice"), "rbps", e) < 0 ||
        io_rows(dir, json_object_get(b, "throttleWriteBpsDevice"), "wbps", e) < 0 ||
        io_rows(dir, json_object_get(b, "throttleReadIOPSDevice"), "riops", e) < 0)
        return -1;
    return io_rows(dir, json_object_get(b, "throttleWriteIOPSDevice"), "wiops", e);
}

int cgroup_apply_hugetlb_v2(const char *dir, const json_t *limits, struct err *e)
{
    const json_t *v;
    size_t i;

    json_array_foreach(limits, i, v)
    {
        const char *size = json_get_string(v, "pageSize", "");
        char file[128];
        int64_t limit = 0;

        (void)number(v, "limit", &limit);
        if (strchr(size, '/') || !*size)
            return err_set(e, "hugepageLimits: invalid pageSize");
        snprintf(file, sizeof(file), "hugetlb.%s.max", size);
        if (cgroup_set_int(dir, file, limit, e) < 0)
            return -1;
        snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max", size);
        (void)cgroup_write_int(dir, file, limit); /* older kernels have none */
    }
    return 0;
}

static int apply_unified(const char *dir, json_t *u, struct err *e)
{
    const char *name;
    json_t *v;

    json_object_foreach(u, name, v)
    {
        if (strchr(name, '/') || !json_is_string(v))
            return err_set(e, "unified resource \"%s\" must be a file name (no slashes)", name);
        if (!cgroup_file_exists(dir, name))
            return err_set(e, "unified resource \"%s\" can't be set: controller not available",
                           name);
        if (cgroup_set(dir, name, json_string_value(v), e) < 0)
            return -1;
    }
    return 0;
}

int cgroup_apply_v2(struct cgroup *cg, const char *dir, const json_t *r, struct err *e)
{
    const json_t *pids = json_object_get(r, "pids");
    int64_t limit;

    if (!dir) {
        /* Rootless without delegation: what wants no limit may go on. */
        static const char *const wants[] = {"memory", "cpu", "pids", "blockIO", "unified"};

        for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
            if (json_object_size(json_object_get(r, wants[i])))
                return err_set(e, "cannot set %s limit: container could not join or create cgroup",
                               wants[i]);
        }
        return 0;
    }
    if (cgroup_apply_devices_v2(cg, dir, json_object_get(r, "devices"), e) < 0 ||
        apply_memory(dir, json_object_get(r, "memory"), e) < 0 ||
        apply_cpu(dir, json_object_get(r, "cpu"), e) < 0 ||
        (number(pids, "limit", &limit) && set_max(dir, "pids.max", limit, e) < 0) ||
        apply_io(dir, json_object_get(r, "blockIO"), e) < 0 ||
        cgroup_apply_hugetlb_v2(dir, json_object_get(r, "hugepageLimits"), e) < 0)
        return -1;
    return apply_unified(dir, json_object_get(r, "unified"), e);
}
