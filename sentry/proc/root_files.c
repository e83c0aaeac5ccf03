/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files directly in /proc. What tells about the machine tells about the sandbox: its CPUs, its
 * memory limit, its tasks. Hardware that a sandbox does not have is shown as Linux shows a machine
 * without it (empty tables with their headers).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/time.h"
#include "sentry/abi/version.h"
#include "sentry/core/clock.h"
#include "sentry/fs/flock.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/timens.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/mm.h"
#include "sentry/proc/cpuinfo.h"
#include "sentry/proc/proc_internal.h"

static int self_readlink(struct pseudo_node *n, char **out)
{
    lx_pid_t nr = pid_nr_in(curr()->tgid, proc_ns(n));

    if (!nr)
        return -ENOENT;
    return asprintf(out, "%d", nr) < 0 ? -ENOMEM : 0;
}

static int thread_self_readlink(struct pseudo_node *n, char **out)
{
    lx_pid_t tgid = pid_nr_in(curr()->tgid, proc_ns(n)), tid = pid_nr_in(curr()->tid, proc_ns(n));

    if (!tid)
        return -ENOENT;
    return asprintf(out, "%d/task/%d", tgid, tid) < 0 ? -ENOMEM : 0;
}

static int show_uptime(struct pseudo_node *n, struct pbuf *b)
{
    uint64_t up = clock_boottime() / 10000000, idle, busy, user, system;

    kernel_cpu_used(&user, &system);
    busy = (user + system) / 10000000;
    idle = up * kernel_cpu_count();
    idle = idle > busy ? idle - busy : 0;
    up += (uint64_t)(timens_shift(LX_CLOCK_BOOTTIME) / 10000000);
    pbuf_printf(b, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / 100),
                (unsigned long long)(up % 100), (unsigned long long)(idle / 100),
                (unsigned long long)(idle % 100));
    return 0;
}

static int show_loadavg(struct pseudo_node *n, struct pbuf *b)
{
    struct kernel_stats ks;

    kernel_stats_get(&ks);
    pbuf_printf(b, "%u.%02u %u.%02u %u.%02u %u/%u %d\n", ks.load[0] / 100, ks.load[0] % 100,
                ks.load[1] / 100, ks.load[1] % 100, ks.load[2] / 100, ks.load[2] % 100, ks.running,
                ks.total_threads, pidns_last_nr(proc_ns(n)));
    return 0;
}

static void put_cpu(struct pbuf *b, const char *name, const struct cpu_used *used, uint64_t up_ns)
{
    const uint64_t busy = used->user_ns + used->system_ns;

    pbuf_printf(b, "%s %llu 0 %llu %llu 0 0 0 0 0 0\n", name,
                (unsigned long long)proc_ticks(used->user_ns),
                (unsigned long long)proc_ticks(used->system_ns),
                (unsigned long long)proc_ticks(up_ns > busy ? up_ns - busy : 0));
}

static int show_stat(struct pseudo_node *n, struct pbuf *b)
{
    struct kernel_stats ks;
    struct cpu_used all, *each = kernel_cpu_used_each(&all);
    uint64_t up = clock_boottime();

    if (!each)
        return -ENOMEM;
    kernel_stats_get(&ks);
    put_cpu(b, "cpu ", &all, up * kernel_cpu_count());
    for (uint32_t i = 0; i < kernel_cpu_limit(); i++) {
        char name[16];

        snprintf(name, sizeof(name), "cpu%u", i);
        if (kernel_cpu_usable(i))
            put_cpu(b, name, &each[i], up);
    }
    free(each);
    /* Linux: the offset turns the other way round, so that btime plus uptime is the present. */
    pbuf_printf(b, "intr 0\nctxt %llu\nbtime %llu\nprocesses %llu\n",
                (unsigned long long)ks.switches,
                (unsigned long long)(ks.boot_realtime -
                                     (uint64_t)(timens_shift(LX_CLOCK_BOOTTIME) / 1000000000)),
                (unsigned long long)ks.forks);
    pbuf_printf(b, "procs_running %u\nprocs_blocked %u\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
                ks.running, ks.blocked);
    return 0;
}

static int show_meminfo(struct pseudo_node *n, struct pbuf *b)
{
    struct kernel_stats ks;
    struct memfile_stats ms;
    uint64_t shmem, anon;

    kernel_stats_get(&ks);
    memfile_stats(&ms);
    shmem = ms.used[MEMFILE_TMPFS];
    anon = ms.used[MEMFILE_ANON];
    const struct {
        const char *name;
        uint64_t bytes;
    } rows[] = {
        {"MemTotal:", ks.mem_total},
        {"MemFree:", ks.mem_free},
        {"MemAvailable:", ks.mem_free},
        {"Buffers:", 0},
        {"Cached:", shmem},
        {"SwapCached:", 0},
        {"Active:", anon / 2},
        {"Inactive:", anon - anon / 2 + shmem},
        {"Active(anon):", anon / 2},
        {"Inactive(anon):", anon - anon / 2 + shmem},
        {"Active(file):", 0},
        {"Inactive(file):", 0},
        {"Unevictable:", 0},
        {"Mlocked:", 0},
        {"SwapTotal:", 0},
        {"SwapFree:", 0},
        {"Dirty:", 0},
        {"Writeback:", 0},
        {"AnonPages:", anon},
        {"Mapped:", shmem},
        {"Shmem:", shmem},
        {"KReclaimable:", 0},
        {"Slab:", 0},
        {"SReclaimable:", 0},
        {"SUnreclaim:", 0},
        {"KernelStack:", (uint64_t)ks.total_threads * 16384},
        {"PageTables:", 0},
        {"NFS_Unstable:", 0},
        {"Bounce:", 0},
        {"WritebackTmp:", 0},
        {"CommitLimit:", mm_commit_limit() * LX_PAGE_SIZE},
        {"Committed_AS:", mm_committed() * LX_PAGE_SIZE + shmem},
        {"VmallocTotal:", 35184372087808ull},
        {"VmallocUsed:", 0},
        {"VmallocChunk:", 0},
        {"Percpu:", 0},
        {"HardwareCorrupted:", 0},
        {"AnonHugePages:", 0},
        {"ShmemHugePages:", 0},
        {"ShmemPmdMapped:", 0},
        {"FileHugePages:", 0},
        {"FilePmdMapped:", 0},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        pbuf_printf(b, "%-15s %8llu kB\n", rows[i].name,
                    (unsigned long long)(rows[i].bytes / 1024));
    pbuf_puts(
        b, "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
           "HugePages_Surp:        0\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n");
    pbuf_printf(b, "DirectMap4k:    %8llu kB\nDirectMap2M:           0 kB\n",
                (unsigned long long)(ks.mem_total / 1024));
    return 0;
}

static int show_cpuinfo(struct pseudo_node *n, struct pbuf *b)
{
    cpuinfo_format(b);
    return 0;
}

static int show_filesystems(struct pseudo_node *n, struct pbuf *b)
{
    for (size_t i = 0; g_fs_types[i]; i++)
        pbuf_printf(b, "nodev\t%s\n", g_fs_types[i]->name);
    return 0;
}

#define KEY_LINE_MAX 4352 /* a description of 4095 bytes and the columns before it */

static int show_keys(struct pseudo_node *n, struct pbuf *b)
{
    char *line = malloc(KEY_LINE_MAX);
    int after = 0;
    size_t size;

    if (!line)
        return -ENOMEM;
    while ((size = keys_format_next(&after, line, KEY_LINE_MAX)) > 0)
        pbuf_put(b, line, size);
    free(line);
    return 0;
}

static int show_key_users(struct pseudo_node *n, struct pbuf *b)
{
    char line[128];
    size_t size;

    for (uint32_t i = 0; (size = keys_format_users(i, line, sizeof(line))) > 0; i++)
        pbuf_put(b, line, size);
    return 0;
}

static int show_locks(struct pseudo_node *n, struct pbuf *b)
{
    const size_t size = 65536;
    char *buf = malloc(size);

    if (!buf)
        return -ENOMEM;
    pbuf_put(b, buf, flock_format_all(buf, size));
    free(buf);
    return 0;
}

static int show_vmstat(struct pseudo_node *n, struct pbuf *b)
{
    struct kernel_stats ks;
    struct memfile_stats ms;
    uint64_t anon, shmem;

    kernel_stats_get(&ks);
    memfile_stats(&ms);
    anon = ms.used[MEMFILE_ANON] / LX_PAGE_SIZE;
    shmem = ms.used[MEMFILE_TMPFS] / LX_PAGE_SIZE;
    pbuf_printf(b, "nr_free_pages %llu\nnr_zone_inactive_anon 0\nnr_zone_active_anon %llu\n",
                (unsigned long long)(ks.mem_free / LX_PAGE_SIZE), (unsigned long long)anon);
    pbuf_printf(b, "nr_mlock 0\nnr_active_anon %llu\nnr_anon_pages %llu\nnr_mapped %llu\n",
                (unsigned long long)anon, (unsigned long long)anon, (unsigned long long)shmem);
    pbuf_printf(b, "nr_file_pages %llu\nnr_dirty 0\nnr_writeback 0\nnr_shmem %llu\n",
                (unsigned long long)shmem, (unsigned long long)shmem);
    pbuf_puts(b, "pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\noom_kill 0\n");
    return 0;
}

static int show_cgroups(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_puts(b, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
                 "cpu\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n");
    return 0;
}

static int show_interrupts(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_puts(b, "     ");
    for (uint32_t i = 0; i < kernel_cpu_limit(); i++) {
        if (kernel_cpu_usable(i))
            pbuf_printf(b, "      CPU%-5u", i);
    }
    pbuf_putc(b, '\n');
    return 0;
}

static int show_softirqs(struct pseudo_node *n, struct pbuf *b)
{
    static const char *const names[] = {"HI",       "TIMER",   "NET_TX", "NET_RX",  "BLOCK",
                                        "IRQ_POLL", "TASKLET", "SCHED",  "HRTIMER", "RCU"};
    uint32_t cpus = kernel_cpu_limit(); /* Linux: all possible ones */

    pbuf_puts(b, "                    ");
    for (uint32_t i = 0; i < cpus; i++)
        pbuf_printf(b, "CPU%-8u", i);
    pbuf_putc(b, '\n');
    for (size_t r = 0; r < ARRAY_COUNT(names); r++) {
        pbuf_printf(b, "%12s:", names[r]);
        for (uint32_t i = 0; i < cpus; i++)
            pbuf_puts(b, "          0");
        pbuf_putc(b, '\n');
    }
    return 0;
}

static int show_zoneinfo(struct pseudo_node *n, struct pbuf *b)
{
    struct kernel_stats ks;

    kernel_stats_get(&ks);
    pbuf_printf(b,
                "Node 0, zone   Normal\n  pages free     %llu\n        min      0\n"
                "        low      0\n        high     0\n        spanned  %llu\n"
                "        present  %llu\n        managed  %llu\n",
                (unsigned long long)(ks.mem_free / LX_PAGE_SIZE),
                (unsigned long long)(ks.mem_total / LX_PAGE_SIZE),
                (unsigned long long)(ks.mem_total / LX_PAGE_SIZE),
                (unsigned long long)(ks.mem_total / LX_PAGE_SIZE));
    return 0;
}

static const char devices_text[] =
    "Character devices:\n  1 mem\n  4 /dev/vc/0\n  4 tty\n  5 /dev/tty\n  5 /dev/console\n"
    "  5 /dev/ptmx\n 10 misc\n128 ptm\n136 pts\n\nBlock devices:\n";

static const char tty_drivers_text[] =
    "/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
    "/dev/console         /dev/console    5       1 system:console\n"
    "/dev/ptmx            /dev/ptmx       5       2 system\n"
    "pty_slave            /dev/pts      136 0-1048575 pty:slave\n"
    "pty_master           /dev/ptm      128 0-1048575 pty:master\n";

static const struct pseudo_entry tty_table[] = {
    PSEUDO_TEXT("drivers", 0444, tty_drivers_text),
    PSEUDO_TEXT("ldiscs", 0444, "n_tty       0\n"),
    {0},
};

static const struct pseudo_entry empty_table[] = {{0}};

const struct pseudo_entry g_proc_self_table[] = {
    PSEUDO_LINK("self", self_readlink),
    PSEUDO_LINK("thread-self", thread_self_readlink),
    {0},
};

const struct pseudo_entry g_proc_root_table[] = {
    PSEUDO_LINK_TO("mounts", "self/mounts"),
    PSEUDO_LINK_TO("net", "self/net"),
    PSEUDO_DIR("sys", 0555, g_proc_sys_table),
    PSEUDO_DIR("sysvipc", 0555, g_proc_sysvipc_table),
    PSEUDO_DIR("tty", 0555, tty_table),
    PSEUDO_DIR("bus", 0555, empty_table),
    PSEUDO_DIR("driver", 0555, empty_table),
    PSEUDO_DIR("fs", 0555, empty_table),
    PSEUDO_DIR("irq", 0555, empty_table),
    PSEUDO_TEXT("buddyinfo", 0444, ""),
    PSEUDO_FILE("cgroups", 0444, show_cgroups),
    PSEUDO_TEXT("cmdline", 0444, "runsc-c\n"),
    PSEUDO_TEXT("consoles", 0444, ""),
    PSEUDO_FILE("cpuinfo", 0444, show_cpuinfo),
    PSEUDO_TEXT("crypto", 0444, ""),
    PSEUDO_TEXT("devices", 0444, devices_text),
    PSEUDO_TEXT("diskstats", 0444, ""),
    PSEUDO_TEXT("dma", 0444, ""),
    PSEUDO_TEXT("execdomains", 0444, "0-0\tLinux           \t[kernel]\n"),
    PSEUDO_FILE("filesystems", 0444, show_filesystems),
    PSEUDO_FILE("interrupts", 0444, show_interrupts),
    PSEUDO_TEXT("iomem", 0400, ""),
    PSEUDO_TEXT("ioports", 0400, ""),
    PSEUDO_TEXT("kallsyms", 0444, ""),
    PSEUDO_FILE("key-users", 0444, show_key_users),
    PSEUDO_FILE("keys", 0444, show_keys),
    PSEUDO_FILE("loadavg", 0444, show_loadavg),
    PSEUDO_FILE("locks", 0444, show_locks),
    PSEUDO_FILE("meminfo", 0444, show_meminfo),
    PSEUDO_TEXT("misc", 0444, ""),
    PSEUDO_TEXT("modules", 0444, ""),
    PSEUDO_TEXT("partitions", 0444, "major minor  #blocks  name\n\n"),
    PSEUDO_TEXT("pagetypeinfo", 0400, ""),
    PSEUDO_TEXT("slabinfo", 0400,
                "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> "
                "<objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : "
                "slabdata <active_slabs> <num_slabs> <sharedavail>\n"),
    PSEUDO_FILE("softirqs", 0444, show_softirqs),
    PSEUDO_FILE("stat", 0444, show_stat),
    PSEUDO_TEXT("swaps", 0444, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    PSEUDO_FILE("uptime", 0444, show_uptime),
    PSEUDO_TEXT("version", 0444, LX_PROC_VERSION "\n"),
    PSEUDO_FILE("vmstat", 0444, show_vmstat),
    PSEUDO_FILE("zoneinfo", 0444, show_zoneinfo),
    {0},
};
