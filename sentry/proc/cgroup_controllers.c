// SPDX-License-Identifier: Apache-2.0
/*
 * The files of the controllers: memory, pids, cpu, cpuset, io. See cgroupfs.h.
 *
 * memory, pids, cpu.max and cpuset.cpus are enforced, cpu.weight is remembered and reported
 * (DEVIATION, see kernel/bandwidth.c). There is no swap and no block device: their limits are accepted and never reached.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/proc/cgroupfs.h"

static void put_number(struct pbuf *b, uint64_t n)
{
    pbuf_printf(b, "%llu\n", (unsigned long long)n);
}

static int store_value(struct kcgroup *cg, const char *data, enum cgroup_value v, uint64_t min,
                       uint64_t max, int range_error)
{
    uint64_t n;
    int ret = cgroup_parse_max(data, &n);

    if (ret < 0)
        return ret;
    if (n < min || n > max)
        return range_error;
    cgroup_set_value(cg, v, n);
    return 0;
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Bytes with an optional K, M, G, T, P, E, rounded down to pages; "max". */
static int parse_bytes(const char *data, uint64_t *out)
{
    static const char units[] = "kmgtpe";
    const char *unit;
    char *end;

    if (!strcmp(data, "max")) {
        *out = CGROUP_MAX;
        return 0;
    }
    if (*data < '0' || *data > '9')
        return -EINVAL;
    *out = strtoull(data, &end, 0);
    unit = *end ? strchr(units, *end | 0x20) : NULL;
    if (unit) {
        unsigned shift = 10 * (unsigned)(unit - units + 1);

        *out = *out > UINT64_MAX >> shift ? CGROUP_MAX - 4096 : *out << shift;
        end++;
    }
    if (*end)
        return -EINVAL;
    *out &= ~4095ull;
    return 0;
}

static void usage_of(struct kcgroup *cg, struct memcg_usage *u)
{
    memcg_usage(cgroup_memcg(cg), u);
}

static int show_memory_current(struct kcgroup *cg, struct pbuf *b)
{
    struct memcg_usage u;

    usage_of(cg, &u);
    put_number(b, u.current);
    return 0;
}

static int show_memory_peak(struct kcgroup *cg, struct pbuf *b)
{
    struct memcg_usage u;

    usage_of(cg, &u);
    put_number(b, u.peak);
    return 0;
}

static int show_memory_max(struct kcgroup *cg, struct pbuf *b)
{
    struct memcg_usage u;

    usage_of(cg, &u);
    cgroup_put_max(b, u.max);
    return 0;
}

static int store_memory_max(struct kcgroup *cg, char *data)
{
    uint64_t n;
    int ret = parse_bytes(data, &n);

    if (ret == 0)
        cgroup_set_memory_max(cg, n);
    return ret;
}

static int show_memory_high(struct kcgroup *cg, struct pbuf *b)
{
    struct memcg_usage u;

    usage_of(cg, &u);
    cgroup_put_max(b, u.high);
    return 0;
}

static int store_memory_high(struct kcgroup *cg, char *data)
{
    uint64_t n;
    int ret = parse_bytes(data, &n);

    if (ret == 0)
        memcg_set_high(cgroup_memcg(cg), n);
    return ret;
}

#define BYTES_FILE(name, value)                                                                    \
    static int show_##name(struct kcgroup *cg, struct pbuf *b)                                     \
    {                                                                                              \
        cgroup_put_max(b, cgroup_value(cg, value));                                                \
        return 0;                                                                                  \
    }                                                                                              \
    static int store_##name(struct kcgroup *cg, char *data)                                        \
    {                                                                                              \
        uint64_t n;                                                                                \
        int ret = parse_bytes(data, &n);                                                           \
                                                                                                   \
        if (ret == 0)                                                                              \
            cgroup_set_value(cg, value, n);                                                        \
        return ret;                                                                                \
    }
BYTES_FILE(memory_low, CGROUP_MEMORY_LOW)
BYTES_FILE(memory_min, CGROUP_MEMORY_MIN)
BYTES_FILE(swap_max, CGROUP_SWAP_MAX)
BYTES_FILE(swap_high, CGROUP_SWAP_HIGH)
#undef BYTES_FILE

static void put_events(struct pbuf *b, const uint64_t events[MEMCG_EVENT_COUNT])
{
    static const char *const names[] = {"low", "high", "max", "oom", "oom_kill", "oom_group_kill"};
    static_assert(ARRAY_COUNT(names) == MEMCG_EVENT_COUNT, "a name per event");

    for (int i = 0; i < MEMCG_EVENT_COUNT; i++)
        pbuf_printf(b, "%s %llu\n", names[i], (unsigned long long)events[i]);
}

static int show_memory_events(struct kcgroup *cg, struct pbuf *b)
{
    struct memcg_usage u;

    usage_of(cg, &u);
    put_events(b, u.events);
    return 0;
}

static int show_memory_events_local(struct kcgroup *cg, struct pbuf *b)
{
    struct memcg_usage u;

    usage_of(cg, &u);
    put_events(b, u.events_local);
    return 0;
}

static int show_memory_stat(struct kcgroup *cg, struct pbuf *b)
{
    struct memcg_usage u;
    uint64_t anon, shmem, kernel;

    usage_of(cg, &u);
    anon = u.kind[MEMFILE_ANON];
    shmem = u.kind[MEMFILE_TMPFS];
    kernel = u.kind[MEMFILE_PIPE] + u.kind[MEMFILE_KERNEL];
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"anon", anon},
        {"file", shmem},
        {"kernel", kernel},
        {"kernel_stack", 0},
        {"pagetables", 0},
        {"percpu", 0},
        {"sock", 0},
        {"vmalloc", 0},
        {"shmem", shmem},
        {"file_mapped", 0},
        {"file_dirty", 0},
        {"file_writeback", 0},
        {"swapcached", 0},
        {"inactive_anon", shmem},
        {"active_anon", anon},
        {"inactive_file", 0},
        {"active_file", 0},
        {"unevictable", 0},
        {"slab_reclaimable", 0},
        {"slab_unreclaimable", kernel},
        {"slab", kernel},
        {"pgfault", 0},
        {"pgmajfault", 0},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        pbuf_printf(b, "%s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
    return 0;
}

static int show_oom_group(struct kcgroup *cg, struct pbuf *b)
{
    put_number(b, cgroup_value(cg, CGROUP_MEMORY_OOM_GROUP));
    return 0;
}

static int store_oom_group(struct kcgroup *cg, char *data)
{
    return store_value(cg, data, CGROUP_MEMORY_OOM_GROUP, 0, 1, -EINVAL);
}

/* Nothing is clean here: what was asked for could not be reclaimed. */
static int store_reclaim(struct kcgroup *cg, char *data)
{
    uint64_t n;
    int ret = parse_bytes(data, &n);

    (void)cg;
    return ret < 0 ? ret : n ? -EAGAIN : 0;
}

static int show_zero(struct kcgroup *cg, struct pbuf *b)
{
    (void)cg;
    put_number(b, 0);
    return 0;
}

static int show_swap_events(struct kcgroup *cg, struct pbuf *b)
{
    (void)cg;
    pbuf_puts(b, "high 0\nmax 0\nfail 0\n");
    return 0;
}

/* ---- pids ----------------------------------------------------------------------------------- */

static int show_pids_current(struct kcgroup *cg, struct pbuf *b)
{
    struct cgroup_pids_usage p;

    cgroup_pids_usage(cg, &p);
    put_number(b, p.current);
    return 0;
}

static int show_pids_peak(struct kcgroup *cg, struct pbuf *b)
{
    struct cgroup_pids_usage p;

    cgroup_pids_usage(cg, &p);
    put_number(b, p.peak);
    return 0;
}

static int show_pids_events(struct kcgroup *cg, struct pbuf *b)
{
    struct cgroup_pids_usage p;

    cgroup_pids_usage(cg, &p);
    pbuf_printf(b, "max %llu\n", (unsigned long long)p.max_events);
    return 0;
}

static int show_pids_max(struct kcgroup *cg, struct pbuf *b)
{
    cgroup_put_max(b, cgroup_value(cg, CGROUP_PIDS_MAX));
    return 0;
}

static int store_pids_max(struct kcgroup *cg, char *data)
{
    enum { PIDS_LIMIT = 4194304 }; /* Linux: PID_MAX_LIMIT */
    uint64_t n;
    int ret = cgroup_parse_max(data, &n);

    if (ret < 0)
        return ret;
    if (n != CGROUP_MAX && n > PIDS_LIMIT)
        return -EINVAL;
    cgroup_set_value(cg, CGROUP_PIDS_MAX, n);
    return 0;
}

/* ---- cpu ------------------------------------------------------------------------------------ */

static int show_cpu_weight(struct kcgroup *cg, struct pbuf *b)
{
    put_number(b, cgroup_value(cg, CGROUP_CPU_WEIGHT));
    return 0;
}

static int store_cpu_weight(struct kcgroup *cg, char *data)
{
    return store_value(cg, data, CGROUP_CPU_WEIGHT, 1, 10000, -ERANGE);
}

static int show_cpu_idle(struct kcgroup *cg, struct pbuf *b)
{
    put_number(b, cgroup_value(cg, CGROUP_CPU_IDLE));
    return 0;
}

static int store_cpu_idle(struct kcgroup *cg, char *data)
{
    return store_value(cg, data, CGROUP_CPU_IDLE, 0, 1, -EINVAL);
}

static int show_cpu_max(struct kcgroup *cg, struct pbuf *b)
{
    uint64_t quota = cgroup_value(cg, CGROUP_CPU_QUOTA);

    if (quota == CGROUP_MAX)
        pbuf_puts(b, "max");
    else
        pbuf_printf(b, "%llu", (unsigned long long)quota);
    pbuf_printf(b, " %llu\n", (unsigned long long)cgroup_value(cg, CGROUP_CPU_PERIOD));
    return 0;
}

static int store_cpu_max(struct kcgroup *cg, char *data)
{
    uint64_t period = cgroup_value(cg, CGROUP_CPU_PERIOD), quota;
    char *second = strpbrk(data, " \t");

    if (second) {
        *second++ = '\0';
        second += strspn(second, " \t");
        if (*second && cgroup_parse_max(second, &period) < 0)
            return -EINVAL;
    }
    if (cgroup_parse_max(data, &quota) < 0 || period < 1000 || period > 1000000 || quota < 1000)
        return -EINVAL;
    cgroup_set_cpu_max(cg, quota, period);
    return 0;
}

static int show_cpu_burst(struct kcgroup *cg, struct pbuf *b)
{
    put_number(b, cgroup_value(cg, CGROUP_CPU_BURST));
    return 0;
}

static int store_cpu_burst(struct kcgroup *cg, char *data)
{
    uint64_t quota = cgroup_value(cg, CGROUP_CPU_QUOTA);

    return store_value(cg, data, CGROUP_CPU_BURST, 0, quota == CGROUP_MAX ? 0 : quota, -EINVAL);
}

/* ---- cpuset --------------------------------------------------------------------------------- */

static int show_cpus(struct kcgroup *cg, struct pbuf *b)
{
    uint64_t mask[CPU_WORDS];

    cgroup_cpus(cg, /*effective=*/false, mask);
    pbuf_put_cpu_list(b, mask);
    pbuf_putc(b, '\n');
    return 0;
}

static int show_cpus_effective(struct kcgroup *cg, struct pbuf *b)
{
    uint64_t mask[CPU_WORDS];

    cgroup_cpus(cg, /*effective=*/true, mask);
    pbuf_put_cpu_list(b, mask);
    pbuf_putc(b, '\n');
    return 0;
}

static int store_cpus(struct kcgroup *cg, char *data)
{
    uint64_t mask[CPU_WORDS] = {0};
    char *save, *range;

    for (range = strtok_r(data, ",", &save); range; range = strtok_r(NULL, ",", &save)) {
        char *end;
        unsigned long lo = strtoul(range, &end, 10), hi = lo;

        if (end == range || *range == '-')
            return -EINVAL;
        if (*end == '-')
            hi = strtoul(end + 1, &end, 10);
        if (*end || hi < lo)
            return -EINVAL;
        if (hi >= CPU_MAX)
            return -ERANGE;
        for (; lo <= hi; lo++)
            mask[lo / 64] |= 1ull << (lo % 64);
    }
    cgroup_set_cpus(cg, mask);
    return 0;
}

static int show_mems(struct kcgroup *cg, struct pbuf *b)
{
    (void)cg;
    pbuf_putc(b, '\n');
    return 0;
}

static int store_mems(struct kcgroup *cg, char *data)
{
    (void)cg;
    return !*data || !strcmp(data, "0") ? 0 : -EINVAL;
}

static int show_partition(struct kcgroup *cg, struct pbuf *b)
{
    (void)cg;
    pbuf_puts(b, "member\n");
    return 0;
}

static int store_partition(struct kcgroup *cg, char *data)
{
    (void)cg;
    return strcmp(data, "member") ? -EINVAL : 0;
}

/* ---- io ------------------------------------------------------------------------------------- */

static int show_nothing(struct kcgroup *cg, struct pbuf *b)
{
    (void)cg;
    (void)b;
    return 0;
}

static int store_io_max(struct kcgroup *cg, char *data)
{
    (void)cg;
    return strchr(data, ':') ? -ENODEV : -EINVAL; /* no such device */
}

static int show_io_weight(struct kcgroup *cg, struct pbuf *b)
{
    pbuf_printf(b, "default %llu\n", (unsigned long long)cgroup_value(cg, CGROUP_IO_WEIGHT));
    return 0;
}

static int store_io_weight(struct kcgroup *cg, char *data)
{
    if (!strncmp(data, "default ", 8))
        data += 8;
    return store_value(cg, data, CGROUP_IO_WEIGHT, 1, 10000, -EINVAL);
}

#define M CGROUP_MEMORY
const struct pseudo_entry g_cgroup_controller_files[] = {
    CGROUP_FILE("memory.current", 0444, M, show_memory_current, NULL),
    CGROUP_NEWS_FILE("memory.events", 0444, M, show_memory_events, CGROUP_NEWS_MEMORY),
    CGROUP_NEWS_FILE("memory.events.local", 0444, M, show_memory_events_local, CGROUP_NEWS_MEMORY),
    CGROUP_FILE("memory.high", 0644, M, show_memory_high, store_memory_high),
    CGROUP_FILE("memory.low", 0644, M, show_memory_low, store_memory_low),
    CGROUP_FILE("memory.max", 0644, M, show_memory_max, store_memory_max),
    CGROUP_FILE("memory.min", 0644, M, show_memory_min, store_memory_min),
    CGROUP_FILE("memory.oom.group", 0644, M, show_oom_group, store_oom_group),
    CGROUP_FILE("memory.peak", 0444, M, show_memory_peak, NULL),
    CGROUP_FILE("memory.reclaim", 0200, M, NULL, store_reclaim),
    CGROUP_FILE("memory.stat", 0444, M, show_memory_stat, NULL),
    CGROUP_FILE("memory.swap.current", 0444, M, show_zero, NULL),
    CGROUP_FILE("memory.swap.events", 0444, M, show_swap_events, NULL),
    CGROUP_FILE("memory.swap.high", 0644, M, show_swap_high, store_swap_high),
    CGROUP_FILE("memory.swap.max", 0644, M, show_swap_max, store_swap_max),
    CGROUP_FILE("pids.current", 0444, CGROUP_PIDS, show_pids_current, NULL),
    CGROUP_NEWS_FILE("pids.events", 0444, CGROUP_PIDS, show_pids_events, CGROUP_NEWS_PIDS),
    CGROUP_FILE("pids.max", 0644, CGROUP_PIDS, show_pids_max, store_pids_max),
    CGROUP_FILE("pids.peak", 0444, CGROUP_PIDS, show_pids_peak, NULL),
    CGROUP_FILE("cpu.idle", 0644, CGROUP_CPU, show_cpu_idle, store_cpu_idle),
    CGROUP_FILE("cpu.max", 0644, CGROUP_CPU, show_cpu_max, store_cpu_max),
    CGROUP_FILE("cpu.max.burst", 0644, CGROUP_CPU, show_cpu_burst, store_cpu_burst),
    CGROUP_FILE("cpu.weight", 0644, CGROUP_CPU, show_cpu_weight, store_cpu_weight),
    CGROUP_FILE("cpuset.cpus", 0644, CGROUP_CPUSET, show_cpus, store_cpus),
    CGROUP_FILE("cpuset.cpus.effective", 0444, CGROUP_CPUSET, show_cpus_effective, NULL),
    CGROUP_FILE("cpuset.cpus.partition", 0644, CGROUP_CPUSET, show_partition, store_partition),
    CGROUP_FILE("cpuset.mems", 0644, CGROUP_CPUSET, show_mems, store_mems),
    CGROUP_FILE("cpuset.mems.effective", 0444, CGROUP_CPUSET, show_zero, NULL),
    CGROUP_FILE("io.max", 0644, CGROUP_IO, show_nothing, store_io_max),
    CGROUP_FILE("io.stat", 0444, CGROUP_IO, show_nothing, NULL),
    CGROUP_FILE("io.weight", 0644, CGROUP_IO, show_io_weight, store_io_weight),
    {0},
};
#undef M
