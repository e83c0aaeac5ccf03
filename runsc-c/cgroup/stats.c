/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of `events --stats`, in the members of runc's output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runsc-c/cgroup/cgroup_internal.h"

static json_t *number(uint64_t v)
{
    /* JSON integers are signed here; "no limit" is the largest that fits. */
    return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static void put(json_t *obj, const char *name, uint64_t v)
{
    json_object_set_new(obj, name, number(v));
}

/* runc leaves zeros out of most members. */
static void put_nonzero(json_t *obj, const char *name, uint64_t v)
{
    if (v)
        put(obj, name, v);
}

static json_t *numbers_of(const char *dir, const char *file)
{
    char *all = cgroup_read_all(dir, file), *save = NULL;
    json_t *list = json_array();

    for (char *w = all ? strtok_r(all, " \n", &save) : NULL; w; w = strtok_r(NULL, " \n", &save))
        json_array_append_new(list, number(strtoull(w, NULL, 10)));
    free(all);
    return list;
}

/* ---- cpu ------------------------------------------------------------------------------------ */

/* v1 counts user and system time in ticks. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
    long hz = sysconf(_SC_CLK_TCK);

    return ticks * (1000000000ull / (uint64_t)(hz > 0 ? hz : 100));
}

static json_t *cpu_stats(struct cgroup *cg)
{
    const char *acct = cgroup_dir(cg, "cpuacct"), *cpu = cgroup_dir(cg, "cpu");
    const char *v2 = cg->unified ? cgroup_dir(cg, "") : NULL;
    json_t *usage = json_object(), *throttling = json_object(), *percpu;

    if (v2) {
        put(usage, "total", cgroup_read_key(v2, "cpu.stat", "usage_usec", 0) * 1000);
        put(usage, "kernel", cgroup_read_key(v2, "cpu.stat", "system_usec", 0) * 1000);
        put(usage, "user", cgroup_read_key(v2, "cpu.stat", "user_usec", 0) * 1000);
        put_nonzero(throttling, "periods", cgroup_read_key(v2, "cpu.stat", "nr_periods", 0));
        put_nonzero(throttling, "throttledPeriods",
                    cgroup_read_key(v2, "cpu.stat", "nr_throttled", 0));
        put_nonzero(throttling, "throttledTime",
                    cgroup_read_key(v2, "cpu.stat", "throttled_usec", 0) * 1000);
        return json_pack("{s:o, s:o}", "usage", usage, "throttling", throttling);
    }
    put_nonzero(usage, "total", cgroup_read_u64(acct, "cpuacct.usage", 0));
    percpu = numbers_of(acct, "cpuacct.usage_percpu");
    if (json_array_size(percpu))
        json_object_set(usage, "percpu", percpu);
    json_decref(percpu);
    put(usage, "kernel", ticks_to_ns(cgroup_read_key(acct, "cpuacct.stat", "system", 0)));
    put(usage, "user", ticks_to_ns(cgroup_read_key(acct, "cpuacct.stat", "user", 0)));
    put_nonzero(throttling, "periods", cgroup_read_key(cpu, "cpu.stat", "nr_periods", 0));
    put_nonzero(throttling, "throttledPeriods",
                cgroup_read_key(cpu, "cpu.stat", "nr_throttled", 0));
    put_nonzero(throttling, "throttledTime", cgroup_read_key(cpu, "cpu.stat", "throttled_time", 0));
    return json_pack("{s:o, s:o}", "usage", usage, "throttling", throttling);
}

/* "0-2,5" as [0,1,2,5]. */
static json_t *expand_list(const char *dir, const char *file)
{
    char text[1024], *p = text;
    json_t *list = json_array();

    if (cgroup_read(dir, file, text, sizeof(text)) < 0)
        return list;
    while (*p >= '0' && *p <= '9') {
        long from = strtol(p, &p, 10), to = from;

        if (*p == '-')
            to = strtol(p + 1, &p, 10);
        for (; from <= to && json_array_size(list) < 4096; from++)
            json_array_append_new(list, json_integer(from));
        p += *p == ',';
    }
    return list;
}

static json_t *cpuset_stats(struct cgroup *cg)
{
    static const struct {
        const char *member, *file;
    } rows[] = {
        {"cpu_exclusive", "cpuset.cpu_exclusive"},
        {"mem_hardwall", "cpuset.mem_hardwall"},
        {"mem_exclusive", "cpuset.mem_exclusive"},
        {"memory_migrate", "cpuset.memory_migrate"},
        {"memory_spread_page", "cpuset.memory_spread_page"},
        {"memory_spread_slab", "cpuset.memory_spread_slab"},
        {"memory_pressure", "cpuset.memory_pressure"},
        {"sched_load_balance", "cpuset.sched_load_balance"},
        {"sched_relax_domain_level", "cpuset.sched_relax_domain_level"},
    };
    const char *dir = cgroup_dir(cg, "cpuset");
    json_t *out = json_object(), *list;

    list = expand_list(dir, "cpuset.cpus");
    if (json_array_size(list))
        json_object_set(out, "cpus", list);
    json_decref(list);
    list = expand_list(dir, "cpuset.mems");
    if (json_array_size(list))
        json_object_set(out, "mems", list);
    json_decref(list);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[32] = "0";

        (void)cgroup_read(dir, rows[i].file, text, sizeof(text)); /* not there: 0 */
        json_object_set_new(out, rows[i].member, json_integer(strtol(text, NULL, 10)));
    }
    return out;
}

/* ---- memory --------------------------------------------------------------------------------- */

static json_t *memory_entry(const char *dir, const char *prefix)
{
    json_t *out = json_object();
    char file[96];

    snprintf(file, sizeof(file), "%s.limit_in_bytes", prefix);
    put(out, "limit", cgroup_read_u64(dir, file, 0));
    snprintf(file, sizeof(file), "%s.usage_in_bytes", prefix);
    put_nonzero(out, "usage", cgroup_read_u64(dir, file, 0));
    snprintf(file, sizeof(file), "%s.max_usage_in_bytes", prefix);
    put_nonzero(out, "max", cgroup_read_u64(dir, file, 0));
    snprintf(file, sizeof(file), "%s.failcnt", prefix);
    put(out, "failcnt", cgroup_read_u64(dir, file, 0));
    return out;
}

static json_t *raw_stat(const char *dir)
{
    char *all = cgroup_read_all(dir, "memory.stat"), *save = NULL;
    json_t *out = json_object();

    for (char *line = all ? strtok_r(all, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        char *space = strchr(line, ' ');

        if (space) {
            *space = '\0';
            put(out, line, strtoull(space + 1, NULL, 10));
        }
    }
    free(all);
    return out;
}

static json_t *v2_entry(const char *dir, const char *usage, const char *max)
{
    json_t *out = json_object();

    put(out, "limit", cgroup_read_u64(dir, max, 0));
    put_nonzero(out, "usage", cgroup_read_u64(dir, usage, 0));
    put(out, "failcnt", 0);
    return out;
}

static json_t *memory_stats(struct cgroup *cg)
{
    const char *dir = cgroup_dir(cg, "memory"), *v2 = cg->unified ? cgroup_dir(cg, "") : NULL;
    json_t *raw = raw_stat(v2 ? v2 : dir), *out;
    json_t *cache = json_object_get(raw, v2 ? "file" : "cache");

    if (v2)
        out = json_pack("{s:o, s:o, s:{s:i,s:i}, s:{s:i,s:i}}", "usage",
                        v2_entry(v2, "memory.current", "memory.max"), "swap",
                        v2_entry(v2, "memory.swap.current", "memory.swap.max"), "kernel", "limit",
                        0, "failcnt", 0, "kernelTCP", "limit", 0, "failcnt", 0);
    else
        out =
            json_pack("{s:o, s:o, s:o, s:o}", "usage", memory_entry(dir, "memory"), "swap",
                      memory_entry(dir, "memory.memsw"), "kernel", memory_entry(dir, "memory.kmem"),
                      "kernelTCP", memory_entry(dir, "memory.kmem.tcp"));
    if (json_integer_value(cache))
        json_object_set(out, "cache", cache);
    if (json_object_size(raw))
        json_object_set(out, "raw", raw);
    json_decref(raw);
    return out;
}

/* ---- the rest ------------------------------------------------------------------------------- */

static json_t *pids_stats(struct cgroup *cg)
{
    const char *dir = cg->unified ? cgroup_dir(cg, "") : cgroup_dir(cg, "pids");
    json_t *out = json_object();
    uint64_t limit = cgroup_read_u64(dir, "pids.max", UINT64_MAX);

    put_nonzero(out, "current", cgroup_read_u64(dir, "pids.current", 0));
    put_nonzero(out, "limit", limit == UINT64_MAX ? 0 : limit);
    return out;
}

/* Lines "MAJOR:MINOR [OP] VALUE"; the total line has no device. */
static json_t *blkio_entries(const char *dir, const char *file)
{
    char *all = cgroup_read_all(dir, file), *save = NULL;
    json_t *list = json_array();

    for (char *line = all ? strtok_r(all, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        unsigned long long value;
        unsigned major, minor;
        char op[32] = "";
        json_t *v;

        if (sscanf(line, "%u:%u %31[A-Za-z] %llu", &major, &minor, op, &value) != 4) {
            op[0] = '\0';
            if (sscanf(line, "%u:%u %llu", &major, &minor, &value) != 3)
                continue;
        }
        v = json_object();
        put_nonzero(v, "major", major);
        put_nonzero(v, "minor", minor);
        if (op[0])
            json_object_set_new(v, "op", json_string(op));
        put_nonzero(v, "value", value);
        json_array_append_new(list, v);
    }
    free(all);
    return list;
}

static json_t *io_stat_v2(const char *dir, const char *read_key, const char *write_key)
{
    char *all = cgroup_read_all(dir, "io.stat"), *save = NULL;
    json_t *list = json_array();

    for (char *line = all ? strtok_r(all, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        const char *keys[] = {read_key, write_key}, *ops[] = {"Read", "Write"};
        unsigned major, minor;

        if (sscanf(line, "%u:%u", &major, &minor) != 2)
            continue;
        for (size_t i = 0; i < 2; i++) {
            const char *at = strstr(line, keys[i]);
            json_t *v = json_pack("{s:i, s:i, s:s}", "major", (int)major, "minor", (int)minor, "op",
                                  ops[i]);

            put_nonzero(v, "value", at ? strtoull(at + strlen(keys[i]), NULL, 10) : 0);
            json_array_append_new(list, v);
        }
    }
    free(all);
    return list;
}

static json_t *blkio_stats(struct cgroup *cg)
{
    const char *dir = cgroup_dir(cg, "blkio"), *v2 = cg->unified ? cgroup_dir(cg, "") : NULL;
    json_t *bytes, *ios, *out = json_object();

    if (v2) {
        bytes = io_stat_v2(v2, " rbytes=", " wbytes=");
        ios = io_stat_v2(v2, " rios=", " wios=");
    } else {
        bytes = blkio_entries(dir, "blkio.throttle.io_service_bytes_recursive");
        ios = blkio_entries(dir, "blkio.throttle.io_serviced_recursive");
    }
    if (json_array_size(bytes))
        json_object_set(out, "ioServiceBytesRecursive", bytes);
    if (json_array_size(ios))
        json_object_set(out, "ioServicedRecursive", ios);
    json_decref(bytes);
    json_decref(ios);
    return out;
}

static json_t *hugetlb_stats(struct cgroup *cg)
{
    static const char *const sizes[] = {"64KB", "2MB", "32MB", "1GB"};
    const char *v1 = cgroup_dir(cg, "hugetlb"), *v2 = cgroup_dir(cg, ""), *dir = v1 ? v1 : v2;
    json_t *out = json_object();

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char usage[64], max[64], fail[64];
        json_t *v;

        snprintf(usage, sizeof(usage), "hugetlb.%s.%s", sizes[i],
                 v1 ? "usage_in_bytes" : "current");
        snprintf(max, sizeof(max), "hugetlb.%s.max_usage_in_bytes", sizes[i]);
        snprintf(fail, sizeof(fail), "hugetlb.%s.%s", sizes[i], v1 ? "failcnt" : "events");
        if (!cgroup_file_exists(dir, usage))
            continue;
        v = json_object();
        put_nonzero(v, "usage", cgroup_read_u64(dir, usage, 0));
        put_nonzero(v, "max", v1 ? cgroup_read_u64(dir, max, 0) : 0);
        put(v, "failcnt",
            v1 ? cgroup_read_u64(dir, fail, 0) : cgroup_read_key(dir, fail, "max", 0));
        json_object_set_new(out, sizes[i], v);
    }
    return out;
}

int cgroup_stats(struct cgroup *cg, json_t **out, struct err *e)
{
    *out =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:{}, s:n}", "cpu", cpu_stats(cg), "cpuset",
                  cpuset_stats(cg), "memory", memory_stats(cg), "pids", pids_stats(cg), "blkio",
                  blkio_stats(cg), "hugetlb", hugetlb_stats(cg), "intel_rdt", "network_interfaces");
    return *out ? 0 : err_set(e, "out of memory");
}
