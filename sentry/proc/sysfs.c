/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfs: the CPUs and the one memory node that the sandbox shows, the loopback device, and the
 * switches that run-time systems look at. Buses and devices that a sandbox lacks are empty folders.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/proc/proc_internal.h"
#include "sentry/proc/sysfs_internal.h"

#define SYSFS_MAGIC 0x62656572

/* ---- devices/system/cpu ---------------------------------------------------------------------- */

static int put_cpus(struct pbuf *b, const uint64_t *mask)
{
    pbuf_put_cpu_list(b, mask);
    pbuf_putc(b, '\n');
    return 0;
}

static int show_online(struct pseudo_node *n, struct pbuf *b)
{
    return put_cpus(b, kernel_cpus());
}

static void possible_mask(uint64_t mask[CPU_WORDS])
{
    memset(mask, 0, CPU_WORDS * sizeof(mask[0]));
    for (uint32_t i = 0; i < kernel_cpu_limit(); i++)
        mask[i / 64] |= 1ull << (i % 64);
}

static int show_possible(struct pseudo_node *n, struct pbuf *b)
{
    uint64_t mask[CPU_WORDS];

    possible_mask(mask);
    return put_cpus(b, mask);
}

static int show_offline(struct pseudo_node *n, struct pbuf *b)
{
    uint64_t mask[CPU_WORDS];

    possible_mask(mask);
    for (int i = 0; i < CPU_WORDS; i++)
        mask[i] &= ~kernel_cpus()[i];
    return put_cpus(b, mask);
}

void sysfs_put_cpu_mask(struct pbuf *b, const uint64_t *mask)
{
    pbuf_put_cpu_mask(b, mask, kernel_cpu_limit());
    pbuf_putc(b, '\n');
}

void sysfs_put_one_cpu(struct pbuf *b, uint32_t cpu)
{
    uint64_t mask[CPU_WORDS] = {0};

    mask[cpu / 64] = 1ull << (cpu % 64);
    sysfs_put_cpu_mask(b, mask);
}

static int show_all_mask(struct pseudo_node *n, struct pbuf *b)
{
    sysfs_put_cpu_mask(b, kernel_cpus());
    return 0;
}

static int show_own_mask(struct pseudo_node *n, struct pbuf *b)
{
    sysfs_put_one_cpu(b, (uint32_t)n->arg);
    return 0;
}

static int show_own_online(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_puts(b, kernel_cpu_usable((uint32_t)n->arg) ? "1\n" : "0\n");
    return 0;
}

static int show_own_number(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%u\n", (uint32_t)n->arg);
    return 0;
}

static const struct pseudo_entry topology_table[] = {
    PSEUDO_FILE("core_id", 0444, show_own_number),
    PSEUDO_TEXT("physical_package_id", 0444, "0\n"),
    PSEUDO_TEXT("die_id", 0444, "0\n"),
    PSEUDO_TEXT("cluster_id", 0444, "65535\n"),
    PSEUDO_FILE("thread_siblings", 0444, show_own_mask),
    PSEUDO_FILE("thread_siblings_list", 0444, show_own_number),
    PSEUDO_FILE("core_cpus", 0444, show_own_mask),
    PSEUDO_FILE("core_cpus_list", 0444, show_own_number),
    PSEUDO_FILE("core_siblings", 0444, show_all_mask),
    PSEUDO_FILE("core_siblings_list", 0444, show_online),
    PSEUDO_FILE("package_cpus", 0444, show_all_mask),
    PSEUDO_FILE("package_cpus_list", 0444, show_online),
    PSEUDO_FILE("die_cpus", 0444, show_all_mask),
    PSEUDO_FILE("die_cpus_list", 0444, show_online),
    {0},
};

static const struct pseudo_entry cpu_table[] = {
    {.name = "cache", .mode = 0040755, .dir = &sysfs_cache_dir},
    PSEUDO_DIR("topology", 0755, topology_table),
    PSEUDO_FILE("online", 0444, show_own_online),
    PSEUDO_LINK_TO("subsystem", "../../../../bus/cpu"),
    PSEUDO_LINK_TO("node0", "../../node/node0"),
    {0},
};

static const struct pseudo_entry cpu_entry = {
    .name = "cpu",
    .mode = 0040755,
    .children = cpu_table,
};

static int cpu_lookup(struct pseudo_node *dir, const char *name, size_t len,
                      struct pseudo_node **out)
{
    int64_t nr =
        len > 3 && memcmp(name, "cpu", 3) == 0 ? pseudo_parse_nr(name + 3, len - 3) : -ENOENT;
    int ret;

    *out = NULL;
    if (nr < 0 || nr >= (int64_t)kernel_cpu_limit())
        return 0;
    ret = pseudo_node_new(dir, &cpu_entry, name, len, out);
    if (ret == 0)
        (*out)->arg = (uint64_t)nr;
    return ret;
}

static int cpu_next(struct pseudo_node *dir, uint64_t *cookie, struct pseudo_name *out)
{
    if (*cookie >= kernel_cpu_limit())
        return 0;
    snprintf(out->name, sizeof(out->name), "cpu%u", (uint32_t)*cookie);
    out->mode = 0040755;
    *cookie += 1;
    return 1;
}

static const struct pseudo_dir cpu_dir = {.lookup = cpu_lookup, .next = cpu_next};

static const struct pseudo_entry smt_table[] = {
    PSEUDO_TEXT("active", 0444, "0\n"),
    PSEUDO_TEXT("control", 0444, "notsupported\n"),
    {0},
};

static const struct pseudo_entry cpus_table[] = {
    PSEUDO_FILE("online", 0444, show_online),    PSEUDO_FILE("possible", 0444, show_possible),
    PSEUDO_FILE("present", 0444, show_possible), PSEUDO_FILE("offline", 0444, show_offline),
    PSEUDO_TEXT("isolated", 0444, "\n"),         PSEUDO_TEXT("kernel_max", 0444, "8191\n"),
    PSEUDO_DIR("smt", 0755, smt_table),          {0},
};

/* ---- devices/system/node --------------------------------------------------------------------- */

static int show_node_meminfo(struct pseudo_node *n, struct pbuf *b)
{
    struct kernel_stats ks;

    kernel_stats_get(&ks);
    pbuf_printf(b, "Node 0 MemTotal:       %8llu kB\nNode 0 MemFree:        %8llu kB\n",
                (unsigned long long)(ks.mem_total / 1024),
                (unsigned long long)(ks.mem_free / 1024));
    pbuf_printf(b, "Node 0 MemUsed:        %8llu kB\n",
                (unsigned long long)((ks.mem_total - ks.mem_free) / 1024));
    return 0;
}

static const struct pseudo_entry node0_table[] = {
    PSEUDO_FILE("cpulist", 0444, show_online),
    PSEUDO_FILE("cpumap", 0444, show_all_mask),
    PSEUDO_FILE("meminfo", 0444, show_node_meminfo),
    PSEUDO_TEXT("distance", 0444, "10\n"),
    {0},
};

static const struct pseudo_entry nodes_table[] = {
    PSEUDO_TEXT("online", 0444, "0\n"),
    PSEUDO_TEXT("possible", 0444, "0\n"),
    PSEUDO_TEXT("has_cpu", 0444, "0\n"),
    PSEUDO_TEXT("has_memory", 0444, "0\n"),
    PSEUDO_TEXT("has_normal_memory", 0444, "0\n"),
    PSEUDO_DIR("node0", 0755, node0_table),
    {0},
};

/* ---- net/lo ---------------------------------------------------------------------------------- */

static const struct pseudo_entry lo_statistics_table[] = {
    PSEUDO_TEXT("rx_bytes", 0444, "0\n"),
    PSEUDO_TEXT("rx_packets", 0444, "0\n"),
    PSEUDO_TEXT("rx_errors", 0444, "0\n"),
    PSEUDO_TEXT("rx_dropped", 0444, "0\n"),
    PSEUDO_TEXT("tx_bytes", 0444, "0\n"),
    PSEUDO_TEXT("tx_packets", 0444, "0\n"),
    PSEUDO_TEXT("tx_errors", 0444, "0\n"),
    PSEUDO_TEXT("tx_dropped", 0444, "0\n"),
    PSEUDO_TEXT("collisions", 0444, "0\n"),
    PSEUDO_TEXT("multicast", 0444, "0\n"),
    {0},
};

static const struct pseudo_entry lo_table[] = {
    PSEUDO_TEXT("address", 0444, "00:00:00:00:00:00\n"),
    PSEUDO_TEXT("addr_len", 0444, "6\n"),
    PSEUDO_TEXT("broadcast", 0444, "00:00:00:00:00:00\n"),
    PSEUDO_TEXT("carrier", 0444, "1\n"),
    PSEUDO_TEXT("dev_id", 0444, "0x0\n"),
    PSEUDO_TEXT("flags", 0444, "0x9\n"),
    PSEUDO_TEXT("ifindex", 0444, "1\n"),
    PSEUDO_TEXT("iflink", 0444, "1\n"),
    PSEUDO_TEXT("link_mode", 0444, "0\n"),
    PSEUDO_TEXT("mtu", 0444, "65536\n"),
    PSEUDO_TEXT("operstate", 0444, "unknown\n"),
    PSEUDO_TEXT("tx_queue_len", 0444, "1000\n"),
    PSEUDO_TEXT("type", 0444, "772\n"),
    PSEUDO_TEXT("uevent", 0444, "INTERFACE=lo\nIFINDEX=1\n"),
    PSEUDO_DIR("statistics", 0755, lo_statistics_table),
    PSEUDO_LINK_TO("subsystem", "../../../../class/net"),
    {0},
};

static const struct pseudo_entry virtual_net_table[] = {
    PSEUDO_DIR("lo", 0755, lo_table),
    {0},
};

static const struct pseudo_entry virtual_table[] = {
    PSEUDO_DIR("net", 0755, virtual_net_table),
    {0},
};

static const struct pseudo_entry class_net_table[] = {
    PSEUDO_LINK_TO("lo", "../../devices/virtual/net/lo"),
    {0},
};

/* ---- kernel/ --------------------------------------------------------------------------------- */

static const struct pseudo_entry khugepaged_table[] = {
    PSEUDO_TEXT("defrag", 0444, "0\n"),
    PSEUDO_TEXT("scan_sleep_millisecs", 0444, "10000\n"),
    {0},
};

static const struct pseudo_entry thp_table[] = {
    PSEUDO_TEXT("enabled", 0444, "always madvise [never]\n"),
    PSEUDO_TEXT("defrag", 0444, "always defer defer+madvise madvise [never]\n"),
    PSEUDO_TEXT("shmem_enabled", 0444, "always within_size advise [never] deny force\n"),
    PSEUDO_TEXT("use_zero_page", 0444, "1\n"),
    PSEUDO_TEXT("hpage_pmd_size", 0444, "2097152\n"),
    PSEUDO_DIR("khugepaged", 0755, khugepaged_table),
    {0},
};

static const struct pseudo_entry empty_table[] = {{0}};

/* No hugepages: there is no hugetlbfs, and systemd mounts it where the directory is. */
static const struct pseudo_entry mm_table[] = {
    PSEUDO_DIR("transparent_hugepage", 0755, thp_table),
    {0},
};

static const struct pseudo_entry kernel_table[] = {
    PSEUDO_DIR("mm", 0755, mm_table),          PSEUDO_DIR("debug", 0700, empty_table),
    PSEUDO_DIR("security", 0755, empty_table), PSEUDO_DIR("config", 0755, empty_table),
    PSEUDO_DIR("tracing", 0700, empty_table),  PSEUDO_TEXT("uevent_seqnum", 0444, "0\n"),
    PSEUDO_TEXT("uevent_helper", 0444, "\n"),  PSEUDO_TEXT("profiling", 0444, "0\n"),
    PSEUDO_TEXT("kexec_loaded", 0444, "0\n"),  PSEUDO_TEXT("fscaps", 0444, "1\n"),
    PSEUDO_TEXT("rcu_expedited", 0444, "0\n"), PSEUDO_TEXT("cpu_byteorder", 0444, "little\n"),
    PSEUDO_TEXT("address_bits", 0444, "64\n"), {0},
};

/* ---- the rest -------------------------------------------------------------------------------- */

static const struct pseudo_entry system_table[] = {
    {.name = "cpu", .mode = 0040755, .children = cpus_table, .dir = &cpu_dir},
    PSEUDO_DIR("node", 0755, nodes_table),
    PSEUDO_DIR("memory", 0755, empty_table),
    {0},
};

static const struct pseudo_entry devices_table[] = {
    PSEUDO_DIR("system", 0755, system_table),
    PSEUDO_DIR("virtual", 0755, virtual_table),
    {0},
};

static const struct pseudo_entry class_table[] = {
    PSEUDO_DIR("net", 0755, class_net_table),      PSEUDO_DIR("block", 0755, empty_table),
    PSEUDO_DIR("mem", 0755, empty_table),          PSEUDO_DIR("tty", 0755, empty_table),
    PSEUDO_DIR("power_supply", 0755, empty_table), PSEUDO_DIR("thermal", 0755, empty_table),
    PSEUDO_DIR("hwmon", 0755, empty_table),        {0},
};

static const struct pseudo_entry bus_table[] = {
    PSEUDO_DIR("cpu", 0755, empty_table),
    {0},
};

static const struct pseudo_entry dev_table[] = {
    PSEUDO_DIR("block", 0755, empty_table),
    PSEUDO_DIR("char", 0755, empty_table),
    {0},
};

static const struct pseudo_entry fs_table[] = {
    PSEUDO_DIR("cgroup", 0755, empty_table),
    PSEUDO_DIR("fuse", 0755, empty_table),
    {0},
};

static const struct pseudo_entry sys_table[] = {
    PSEUDO_DIR("block", 0755, empty_table),     PSEUDO_DIR("bus", 0755, bus_table),
    PSEUDO_DIR("class", 0755, class_table),     PSEUDO_DIR("dev", 0755, dev_table),
    PSEUDO_DIR("devices", 0755, devices_table), PSEUDO_DIR("firmware", 0755, empty_table),
    PSEUDO_DIR("fs", 0755, fs_table),           PSEUDO_DIR("hypervisor", 0755, empty_table),
    PSEUDO_DIR("kernel", 0755, kernel_table),   PSEUDO_DIR("module", 0755, empty_table),
    PSEUDO_DIR("power", 0755, empty_table),     {0},
};

static const struct pseudo_entry sysfs_root_entry = {
    .name = "/",
    .mode = 0040555,
    .children = sys_table,
};

int sysfs_create(struct super **out)
{
    struct pseudo_super *ps = calloc(1, sizeof(*ps));

    if (!ps)
        return -ENOMEM;
    ps->magic = SYSFS_MAGIC;
    return pseudo_super_setup_take(ps, "sysfs", &sysfs_root_entry, out);
}

static int sysfs_mount(const struct fs_type *type, const char *source, const char *options,
                       uint32_t super_flags, struct super **out)
{
    return sysfs_create(out);
}

const struct fs_type g_fs_sysfs = {
    .name = "sysfs",
    .flags = FS_TYPE_USERNS | FS_TYPE_SHOWS,
    .mount = sysfs_mount,
};
