/* SPDX-License-Identifier: Apache-2.0 */
/* Resources on v1 hierarchies, and hugetlb where a hybrid host has it in the v2 tree. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runsc-c/cgroup/cgroup_internal.h"
#include "runsc-c/support/json.h"

/* Member as a number: false when it is not there. */
static bool number(const json_t *obj, const char *name, int64_t *out)
{
    const json_t *v = json_object_get(obj, name);

    if (!json_is_integer(v))
        return false;
    *out = json_integer_value(v);
    return true;
}

/* The directory that a limit needs; runc's words when there is none. */
static const char *need(struct cgroup *cg, const char *controller, struct err *e)
{
    const char *dir = cgroup_dir(cg, controller);

    if (!dir)
        (void)err_set(e, "cannot set %s limit: container could not join or create cgroup",
                      controller);
    return dir;
}

/* Writes member's number unless it is 0, which means "not set" in runc's configuration. */
static int set_number(struct cgroup *cg, const char *controller, const json_t *obj,
                      const char *member, const char *file, struct err *e)
{
    const char *dir;
    int64_t v;

    if (!number(obj, member, &v) || v == 0)
        return 0;
    dir = need(cg, controller, e);
    return dir ? cgroup_set_int(dir, file, v, e) : -1;
}

/* ---- memory --------------------------------------------------------------------------------- */

static int set_limit(const char *dir, int64_t limit, struct err *e)
{
    int ret = cgroup_write_int(dir, "memory.limit_in_bytes", limit);

    if (ret == -EBUSY)
        return err_set(
            e, "unable to set memory limit to %lld (current usage: %llu, peak usage: %llu)",
            (long long)limit, (unsigned long long)cgroup_read_u64(dir, "memory.usage_in_bytes", 0),
            (unsigned long long)cgroup_read_u64(dir, "memory.max_usage_in_bytes", 0));
    return ret < 0 ? err_errno(e, -ret, "failed to write \"%lld\": write %s/memory.limit_in_bytes",
                               (long long)limit, dir)
                   : 0;
}

/* The kernel keeps limit <= swap at every moment, so which goes first depends on the direction. */
static int set_memory(struct cgroup *cg, const json_t *m, struct err *e)
{
    int64_t limit = 0, swap = 0;
    const char *dir;
    bool swap_first;

    (void)number(m, "limit", &limit);
    (void)number(m, "swap", &swap);
    /* Linux: no limit on memory and one on memory plus swap makes no sense; both go. */
    if (limit == -1 && swap == 0)
        swap = cgroup_file_exists(cgroup_dir(cg, "memory"), "memory.memsw.limit_in_bytes") ? -1 : 0;
    if (!limit && !swap)
        return 0;
    dir = need(cg, "memory", e);
    if (!dir)
        return -1;
    swap_first =
        swap &&
        (swap == -1 || (uint64_t)swap > cgroup_read_u64(dir, "memory.limit_in_bytes", UINT64_MAX));
    if (swap_first && cgroup_set_int(dir, "memory.memsw.limit_in_bytes", swap, e) < 0)
        return -1;
    if (limit && set_limit(dir, limit, e) < 0)
        return -1;
    return swap && !swap_first ? cgroup_set_int(dir, "memory.memsw.limit_in_bytes", swap, e) : 0;
}

static int apply_memory(struct cgroup *cg, const json_t *m, struct err *e)
{
    int64_t swappiness;

    if (!m)
        return 0;
    if (set_memory(cg, m, e) < 0 ||
        set_number(cg, "memory", m, "reservation", "memory.soft_limit_in_bytes", e) < 0 ||
        set_number(cg, "memory", m, "kernelTCP", "memory.kmem.tcp.limit_in_bytes", e) < 0)
        return -1;
    if (json_is_true(json_object_get(m, "disableOOMKiller")) &&
        cgroup_set(need(cg, "memory", e), "memory.oom_control", "1", e) < 0)
        return -1;
    if (!number(m, "swappiness", &swappiness) || swappiness == -1)
        return 0;
    if (swappiness < 0 || swappiness > 100)
        return err_set(e, "invalid memory swappiness value: %lld (valid range is 0-100)",
                       (long long)swappiness);
    return cgroup_set_int(need(cg, "memory", e), "memory.swappiness", swappiness, e);
}

/* ---- cpu ------------------------------------------------------------------------------------ */

/* The kernel refuses a period that makes the current quota invalid: then the quota goes first. */
static int set_bandwidth(struct cgroup *cg, const json_t *c, struct err *e)
{
    int64_t quota = 0, period = 0;
    const char *dir;
    int ret = 0;

    (void)number(c, "quota", &quota);
    (void)number(c, "period", &period);
    if (!quota && !period)
        return 0;
    dir = need(cg, "cpu", e);
    if (!dir)
        return -1;
    if (period)
        ret = cgroup_write_int(dir, "cpu.cfs_period_us", period);
    if (ret < 0 && (ret != -EINVAL || !quota))
        return err_errno(e, -ret, "failed to write \"%lld\": write %s/cpu.cfs_period_us",
                         (long long)period, dir);
    if (quota && cgroup_set_int(dir, "cpu.cfs_quota_us", quota, e) < 0)
        return -1;
    return ret < 0 ? cgroup_set_int(dir, "cpu.cfs_period_us", period, e) : 0;
}

static int set_shares(struct cgroup *cg, const json_t *c, struct err *e)
{
    uint64_t is;
    int64_t shares;

    if (!number(c, "shares", &shares) || shares == 0)
        return 0;
    if (set_number(cg, "cpu", c, "shares", "cpu.shares", e) < 0)
        return -1;
    /* The kernel cuts without a word. */
    is = cgroup_read_u64(cgroup_dir(cg, "cpu"), "cpu.shares", (uint64_t)shares);
    if ((uint64_t)shares > is)
        return err_set(e, "the maximum allowed cpu-shares is %llu", (unsigned long long)is);
    if ((uint64_t)shares < is)
        return err_set(e, "the minimum allowed cpu-shares is %llu", (unsigned long long)is);
    return 0;
}

static int set_list(struct cgroup *cg, const json_t *c, const char *member, const char *file,
                    struct err *e)
{
    const char *list = json_get_string(c, member, ""), *dir;

    if (!*list)
        return 0;
    dir = need(cg, "cpuset", e);
    return dir ? cgroup_set(dir, file, list, e) : -1;
}

static int apply_cpu(struct cgroup *cg, const json_t *c, struct err *e)
{
    if (!c)
        return 0;
    if (set_shares(cg, c, e) < 0 ||
        set_number(cg, "cpu", c, "realtimePeriod", "cpu.rt_period_us", e) < 0 ||
        set_number(cg, "cpu", c, "realtimeRuntime", "cpu.rt_runtime_us", e) < 0 ||
        set_bandwidth(cg, c, e) < 0 ||
        set_number(cg, "cpu", c, "burst", "cpu.cfs_burst_us", e) < 0 ||
        set_number(cg, "cpu", c, "idle", "cpu.idle", e) < 0)
        return -1;
    if (set_list(cg, c, "cpus", "cpuset.cpus", e) < 0)
        return -1;
    return set_list(cg, c, "mems", "cpuset.mems", e);
}

/* ---- the rest ------------------------------------------------------------------------------- */

static int apply_pids(struct cgroup *cg, const json_t *p, struct err *e)
{
    const char *dir;
    int64_t limit;

    if (!number(p, "limit", &limit) || limit == 0)
        return 0;
    dir = need(cg, "pids", e);
    if (!dir)
        return -1;
    return limit > 0 ? cgroup_set_int(dir, "pids.max", limit, e)
                     : cgroup_set(dir, "pids.max", "max", e);
}

static int device_rows(const char *dir, const json_t *list, const char *member, const char *file,
                       struct err *e)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        int64_t major = 0, minor = 0, value;
        char text[96];

        if (!number(v, member, &value))
            continue;
        (void)number(v, "major", &major);
        (void)number(v, "minor", &minor);
        snprintf(text, sizeof(text), "%lld:%lld %lld", (long long)major, (long long)minor,
                 (long long)value);
        if (cgroup_set(dir, file, text, e) < 0)
            return -1;
    }
    return 0;
}

static int apply_blkio(struct cgroup *cg, const json_t *b, struct err *e)
{
    static const struct {
        const char *member, *value, *file;
    } rows[] = {
        {"weightDevice", "weight", NULL},
        {"weightDevice", "leafWeight", "blkio.leaf_weight_device"},
        {"throttleReadBpsDevice", "rate", "blkio.throttle.read_bps_device"},
        {"throttleWriteBpsDevice", "rate", "blkio.throttle.write_bps_device"},
        {"throttleReadIOPSDevice", "rate", "blkio.throttle.read_iops_device"},
        {"throttleWriteIOPSDevice", "rate", "blkio.throttle.write_iops_device"},
    };
    const char *dir = cgroup_dir(cg, "blkio");
    bool bfq =
        cgroup_file_exists(dir, "blkio.bfq.weight") && !cgroup_file_exists(dir, "blkio.weight");

    if (!b)
        return 0;
    if (set_number(cg, "blkio", b, "weight", bfq ? "blkio.bfq.weight" : "blkio.weight", e) < 0 ||
        set_number(cg, "blkio", b, "leafWeight", "blkio.leaf_weight", e) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const json_t *list = json_object_get(b, rows[i].member);
        const char *file = rows[i].file ? rows[i].file
                           : bfq        ? "blkio.bfq.weight_device"
                                        : "blkio.weight_device";

        if (!json_array_size(list))
            continue;
        if (!need(cg, "blkio", e) || device_rows(dir, list, rows[i].value, file, e) < 0)
            return -1;
    }
    return 0;
}

static int apply_hugetlb(struct cgroup *cg, const json_t *limits, struct err *e)
{
    const char *dir = cgroup_dir(cg, "hugetlb");
    const json_t *v;
    size_t i;

    if (!json_array_size(limits))
        return 0;
    /* A hybrid host may have it in the v2 tree. */
    if (!dir)
        return cgroup_dir(cg, "") ? cgroup_apply_hugetlb_v2(cgroup_dir(cg, ""), limits, e)
                                  : (need(cg, "hugetlb", e), -1);
    json_array_foreach(limits, i, v)
    {
        int64_t limit = 0;
        char file[128];

        (void)number(v, "limit", &limit);
        snprintf(file, sizeof(file), "hugetlb.%s.limit_in_bytes",
                 json_get_string(v, "pageSize", ""));
        if (strchr(file, '/') || cgroup_set_int(dir, file, limit, e) < 0)
            return e->msg[0] ? -1 : err_set(e, "hugepageLimits: invalid pageSize");
    }
    return 0;
}

/* A host without this hierarchy may have a v2 tree beside the others. */
static int apply_devices(struct cgroup *cg, const json_t *rules, struct err *e)
{
    const char *v1 = cgroup_dir(cg, "devices"), *v2 = cgroup_dir(cg, "");

    if (v1)
        return cgroup_apply_devices_v1(cg, v1, rules, e);
    return v2 ? cgroup_apply_devices_v2(cg, v2, rules, e) : 0;
}

static int apply_network(struct cgroup *cg, const json_t *n, struct err *e)
{
    const json_t *list = json_object_get(n, "priorities"), *v;
    size_t i;

    if (set_number(cg, "net_cls", n, "classID", "net_cls.classid", e) < 0)
        return -1;
    json_array_foreach(list, i, v)
    {
        int64_t priority = 0;
        char text[96];
        const char *dir = need(cg, "net_prio", e);

        (void)number(v, "priority", &priority);
        snprintf(text, sizeof(text), "%s %lld", json_get_string(v, "name", ""),
                 (long long)priority);
        if (!dir || cgroup_set(dir, "net_prio.ifpriomap", text, e) < 0)
            return -1;
    }
    return 0;
}

int cgroup_apply_v1(struct cgroup *cg, const json_t *r, struct err *e)
{
    if (json_object_size(json_object_get(r, "unified")))
        return err_set(e, "invalid configuration: cannot use unified on cgroup v1");
    if (apply_devices(cg, json_object_get(r, "devices"), e) < 0 ||
        apply_memory(cg, json_object_get(r, "memory"), e) < 0 ||
        apply_cpu(cg, json_object_get(r, "cpu"), e) < 0 ||
        apply_pids(cg, json_object_get(r, "pids"), e) < 0 ||
        apply_blkio(cg, json_object_get(r, "blockIO"), e) < 0 ||
        apply_hugetlb(cg, json_object_get(r, "hugepageLimits"), e) < 0)
        return -1;
    return apply_network(cg, json_object_get(r, "network"), e);
}
