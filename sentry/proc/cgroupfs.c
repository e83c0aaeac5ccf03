/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup2 as a container sees its own cgroup: one group with the sandbox's limits and usage, in
 * which no children can be made. What run-time systems (java, go, node) read to size themselves.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/mm/memfile.h"
#include "sentry/proc/proc_internal.h"

#define CGROUP2_MAGIC 0x63677270

static int show_procs(struct pseudo_node *n, struct pbuf *b)
{
    struct pidns *ns = curr()->pidns;
    lx_pid_t nr = 1;
    struct pid *p;

    while (ns && (p = pidns_next_process_get(ns, nr, &nr)) != NULL) {
        pid_put(p);
        pbuf_printf(b, "%d\n", nr++);
    }
    return 0;
}

static int show_memory_max(struct pseudo_node *n, struct pbuf *b)
{
    struct memfile_stats ms;

    memfile_stats(&ms);
    if (ms.limit)
        pbuf_printf(b, "%llu\n", (unsigned long long)ms.limit);
    else
        pbuf_puts(b, "max\n");
    return 0;
}

static uint64_t memory_used(struct memfile_stats *ms)
{
    uint64_t used = 0;

    memfile_stats(ms);
    for (size_t i = 0; i < MEMFILE_KIND_COUNT; i++)
        used += ms->used[i];
    return used;
}

static int show_memory_current(struct pseudo_node *n, struct pbuf *b)
{
    struct memfile_stats ms;

    pbuf_printf(b, "%llu\n", (unsigned long long)memory_used(&ms));
    return 0;
}

static int show_memory_stat(struct pseudo_node *n, struct pbuf *b)
{
    struct memfile_stats ms;

    memfile_stats(&ms);
    pbuf_printf(
        b, "anon %llu\nfile %llu\nkernel %llu\nshmem %llu\ninactive_file 0\nactive_file 0\n",
        (unsigned long long)ms.used[MEMFILE_ANON], (unsigned long long)ms.used[MEMFILE_TMPFS],
        (unsigned long long)(ms.used[MEMFILE_PIPE] + ms.used[MEMFILE_KERNEL]),
        (unsigned long long)ms.used[MEMFILE_TMPFS]);
    return 0;
}

static int show_pids_current(struct pseudo_node *n, struct pbuf *b)
{
    struct kernel_stats ks;

    kernel_stats_get(&ks);
    pbuf_printf(b, "%u\n", ks.total_threads);
    return 0;
}

static int show_cpu_stat(struct pseudo_node *n, struct pbuf *b)
{
    struct kernel_stats ks;

    kernel_stats_get(&ks);
    pbuf_printf(b, "usage_usec %llu\nuser_usec %llu\nsystem_usec %llu\n",
                (unsigned long long)((ks.user_ns + ks.system_ns) / 1000),
                (unsigned long long)(ks.user_ns / 1000), (unsigned long long)(ks.system_ns / 1000));
    return 0;
}

static const struct pseudo_entry cgroup_table[] = {
    PSEUDO_TEXT("cgroup.controllers", 0444, "cpu memory pids\n"),
    PSEUDO_TEXT("cgroup.events", 0444, "populated 1\nfrozen 0\n"),
    PSEUDO_TEXT("cgroup.freeze", 0444, "0\n"),
    PSEUDO_TEXT("cgroup.max.depth", 0444, "0\n"),
    PSEUDO_TEXT("cgroup.max.descendants", 0444, "0\n"),
    PSEUDO_FILE("cgroup.procs", 0444, show_procs),
    PSEUDO_TEXT("cgroup.stat", 0444, "nr_descendants 0\nnr_dying_descendants 0\n"),
    PSEUDO_TEXT("cgroup.subtree_control", 0444, "\n"),
    PSEUDO_FILE("cgroup.threads", 0444, show_procs),
    PSEUDO_TEXT("cgroup.type", 0444, "domain\n"),
    PSEUDO_TEXT("cpu.max", 0444, "max 100000\n"),
    PSEUDO_FILE("cpu.stat", 0444, show_cpu_stat),
    PSEUDO_TEXT("cpu.weight", 0444, "100\n"),
    PSEUDO_FILE("memory.current", 0444, show_memory_current),
    PSEUDO_TEXT("memory.events", 0444, "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n"),
    PSEUDO_TEXT("memory.high", 0444, "max\n"),
    PSEUDO_TEXT("memory.low", 0444, "0\n"),
    PSEUDO_FILE("memory.max", 0444, show_memory_max),
    PSEUDO_TEXT("memory.min", 0444, "0\n"),
    PSEUDO_FILE("memory.stat", 0444, show_memory_stat),
    PSEUDO_TEXT("memory.swap.current", 0444, "0\n"),
    PSEUDO_TEXT("memory.swap.max", 0444, "0\n"),
    PSEUDO_FILE("pids.current", 0444, show_pids_current),
    PSEUDO_TEXT("pids.max", 0444, "max\n"),
    {0},
};

static const struct pseudo_entry cgroup_root_entry = {
    .name = "/",
    .mode = 0040555,
    .children = cgroup_table,
};

int cgroupfs_create(struct super **out)
{
    struct pseudo_super *ps = calloc(1, sizeof(*ps));

    if (!ps)
        return -ENOMEM;
    ps->magic = CGROUP2_MAGIC;
    return pseudo_super_setup_take(ps, "cgroup2", &cgroup_root_entry, out);
}

static int cgroupfs_mount(const struct fs_type *type, const char *source, const char *options,
                          uint32_t super_flags, struct super **out)
{
    return cgroupfs_create(out);
}

const struct fs_type g_fs_cgroup2 = {
    .name = "cgroup2",
    .flags = FS_TYPE_USERNS,
    .mount = cgroupfs_mount,
};
