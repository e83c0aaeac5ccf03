/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/sys: what programs read to learn about limits and switches. Values that the sentry has are
 * shown from their owner; tunables that only affect machinery a sandbox does not have keep what was
 * written to them, one value for the sandbox, so that a program that writes and reads back is
 * content.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/version.h"
#include "sentry/core/random.h"
#include "sentry/kernel/aio.h"
#include "sentry/kernel/coredump.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/settings.h"
#include "sentry/mm/mm.h"
#include "sentry/proc/proc_internal.h"

/* ---- tunables -------------------------------------------------------------------------------- */

/* One number that is kept for the guest. Lifetime: static. */
struct tunable {
    long min, max;
    _Atomic long value;
    _Atomic long *owner; /* who reads it, instead of value; NULL: nobody */
};

static int show_tunable(struct pseudo_node *n, struct pbuf *b)
{
    const struct tunable *t = n->entry->data;

    pbuf_printf(b, "%ld\n", t->owner ? *t->owner : t->value);
    return 0;
}

static ssize_t store_tunable(struct pseudo_node *n, char *data, size_t size)
{
    /* SAFETY: rows with this store point to non-const struct tunable objects of this file. */
    struct tunable *t = (struct tunable *)(uintptr_t)n->entry->data;
    char *end;
    long v;

    errno = 0;
    v = strtol(data, &end, 10);
    if (end == data || errno || (*end && *end != '\n' && *end != ' '))
        return -EINVAL;
    if (v < t->min || v > t->max)
        return -EINVAL;
    *(t->owner ? t->owner : &t->value) = v;
    return (ssize_t)size;
}

#define TUNABLE(id, lo, hi, v) static struct tunable id = {.min = (lo), .max = (hi), .value = (v)}
#define ROW_TUNABLE(n, id)                                                                         \
    {                                                                                              \
        .name = (n), .mode = 0100644, .show = show_tunable, .store = store_tunable, .data = &(id)  \
    }

/* A number of kernel/ that is not negative. */
static int show_kernel(struct pseudo_node *n, struct pbuf *b)
{
    const _Atomic int64_t *v = n->entry->data;

    pbuf_printf(b, "%lld\n", (long long)atomic_load(v));
    return 0;
}

static ssize_t store_kernel(struct pseudo_node *n, char *data, size_t size)
{
    /* SAFETY: rows with this store point to non-const objects of kernel/. */
    _Atomic int64_t *v = (_Atomic int64_t *)(uintptr_t)n->entry->data;
    char *end;
    long value;

    errno = 0;
    value = strtol(data, &end, 10);
    if (end == data || errno || (*end && *end != '\n' && *end != ' ') || value < 0 ||
        value > INT32_MAX)
        return -EINVAL;
    atomic_store(v, value);
    return (ssize_t)size;
}

#define ROW_KERNEL(n, m, v)                                                                        \
    {                                                                                              \
        .name = (n), .mode = 0100000 | (m), .show = show_kernel,                                   \
        .store = ((m)&0200) ? store_kernel : NULL, .data = &(v)                                    \
    }

/* A limit of the ipc namespace. */
#define ROW_IPC(field)                                                                             \
    {                                                                                              \
        .name = #field, .mode = 0100644, .show = proc_show_ipc_limit,                              \
        .store = proc_store_ipc_limit, .data = &g_proc_ipc_##field                                 \
    }

/* ---- kernel/ --------------------------------------------------------------------------------- */

static int show_hostname(struct pseudo_node *n, struct pbuf *b)
{
    char name[65];

    utsns_hostname(curr()->utsns, name);
    pbuf_printf(b, "%s\n", name);
    return 0;
}

static int show_domainname(struct pseudo_node *n, struct pbuf *b)
{
    char name[65];

    utsns_domainname(curr()->utsns, name);
    pbuf_printf(b, "%s\n", name);
    return 0;
}

/* Linux: up to the end of the line, cut to what fits. */
static ssize_t store_uts_name(char *data, size_t size, void (*set)(struct utsns *, const char *))
{
    char name[65];

    if (!curr()->utsns)
        return -EINVAL;
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(data, "\n"), data);
    set(curr()->utsns, name);
    return (ssize_t)size;
}

static ssize_t store_hostname(struct pseudo_node *n, char *data, size_t size)
{
    return store_uts_name(data, size, utsns_set_hostname);
}

static ssize_t store_domainname(struct pseudo_node *n, char *data, size_t size)
{
    return store_uts_name(data, size, utsns_set_domainname);
}

static int show_pid_max(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%d\n", pidns_max_nr(proc_ns(n)));
    return 0;
}

static int show_last_pid(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%d\n", pidns_last_nr(proc_ns(n)));
    return 0;
}

static int put_uuid(struct pbuf *b, const uint8_t u[16])
{
    for (int i = 0; i < 16; i++)
        pbuf_printf(b, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", u[i]);
    pbuf_putc(b, '\n');
    return 0;
}

static void random_uuid(uint8_t u[16])
{
    random_bytes(u, 16);
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
}

static int show_uuid(struct pseudo_node *n, struct pbuf *b)
{
    uint8_t u[16];

    random_uuid(u);
    return put_uuid(b, u);
}

static struct {
    struct mutex lock;
    bool made;
    uint8_t uuid[16];
} boot_id = {.lock = {.rank = RANK_LEAF}};

static int show_boot_id(struct pseudo_node *n, struct pbuf *b)
{
    uint8_t fresh[16], u[16];

    random_uuid(fresh);
    mutex_lock(&boot_id.lock);
    if (!boot_id.made)
        memcpy(boot_id.uuid, fresh, 16);
    boot_id.made = true;
    memcpy(u, boot_id.uuid, 16);
    mutex_unlock(&boot_id.lock);
    return put_uuid(b, u);
}

static int show_core_pattern(struct pseudo_node *n, struct pbuf *b)
{
    char pattern[CORE_PATTERN_SIZE];

    coredump_pattern_get(pattern);
    pbuf_printf(b, "%s\n", pattern);
    return 0;
}

static ssize_t store_core_pattern(struct pseudo_node *n, char *data, size_t size)
{
    int ret;

    data[strcspn(data, "\n")] = '\0';
    ret = coredump_pattern_set(data);
    return ret < 0 ? ret : (ssize_t)size;
}

static int show_core_uses_pid(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%d\n", coredump_uses_pid());
    return 0;
}

static ssize_t store_core_uses_pid(struct pseudo_node *n, char *data, size_t size)
{
    char *end;
    long v = strtol(data, &end, 10);

    if (end == data || (*end && *end != '\n' && *end != ' '))
        return -EINVAL;
    coredump_set_uses_pid(v != 0);
    return (ssize_t)size;
}

TUNABLE(kernel_threads_max, 20, 0x3fffffff, 127001);
TUNABLE(kernel_randomize, 0, 2, 2);
TUNABLE(kernel_sysrq, 0, 511, 0);
TUNABLE(kernel_kptr, 0, 2, 1);
TUNABLE(kernel_dmesg, 0, 1, 1);
TUNABLE(kernel_perf, -1, 4, 3);
TUNABLE(kernel_panic, -1, 0x7fffffff, 0);
TUNABLE(kernel_sched_autogroup, 0, 1, 0);
TUNABLE(kernel_unpriv_bpf, 0, 2, 2);
TUNABLE(kernel_unpriv_userns, 0, 1, 1);
TUNABLE(random_urandom_min, 0, 0x7fffffff, 60);
TUNABLE(random_wakeup, 0, 4096, 256);
TUNABLE(kernel_hung, 0, 0x7fffffff, 120);
TUNABLE(kernel_nmi, 0, 1, 0);

static const struct pseudo_entry random_table[] = {
    PSEUDO_FILE("boot_id", 0444, show_boot_id),
    PSEUDO_TEXT("entropy_avail", 0444, "256\n"),
    PSEUDO_TEXT("poolsize", 0444, "256\n"),
    ROW_TUNABLE("urandom_min_reseed_secs", random_urandom_min),
    PSEUDO_FILE("uuid", 0444, show_uuid),
    ROW_TUNABLE("write_wakeup_threshold", random_wakeup),
    {0},
};

static const struct pseudo_entry keys_table[] = {
    ROW_KERNEL("maxkeys", 0644, g_keys_max),
    ROW_KERNEL("maxbytes", 0644, g_keys_max_bytes),
    ROW_KERNEL("root_maxkeys", 0644, g_keys_root_max),
    ROW_KERNEL("root_maxbytes", 0644, g_keys_root_max_bytes),
    PSEUDO_TEXT("gc_delay", 0444, "300\n"),
    PSEUDO_TEXT("persistent_keyring_expiry", 0444, "259200\n"),
    {0},
};

static const struct pseudo_entry yama_table[] = {
    PSEUDO_TEXT("ptrace_scope", 0444, "0\n"),
    {0},
};

static const struct pseudo_entry seccomp_table[] = {
    PSEUDO_TEXT("actions_avail", 0444,
                "kill_process kill_thread trap errno user_notif trace log allow\n"),
    PSEUDO_TEXT("actions_logged", 0444, "kill_process kill_thread trap errno trace log\n"),
    {0},
};

static const struct pseudo_entry pty_table[] = {
    PSEUDO_TEXT("max", 0444, "4096\n"),
    PSEUDO_TEXT("nr", 0444, "0\n"),
    PSEUDO_TEXT("reserve", 0444, "1024\n"),
    {0},
};

static int show_io_uring_disabled(struct pseudo_node *n, struct pbuf *b)
{
    pbuf_printf(b, "%d\n", settings_io_uring_disabled());
    return 0;
}

static ssize_t store_io_uring_disabled(struct pseudo_node *n, char *data, size_t size)
{
    if (data[0] < '0' || data[0] > '2' || (data[1] && data[1] != '\n'))
        return -EINVAL;
    settings_set_io_uring_disabled(data[0] - '0');
    return (ssize_t)size;
}

static const struct pseudo_entry kernel_table[] = {
    PSEUDO_TEXT("ostype", 0444, LX_UTS_SYSNAME "\n"),
    PSEUDO_TEXT("osrelease", 0444, LX_UTS_RELEASE "\n"),
    PSEUDO_TEXT("version", 0444, LX_UTS_VERSION "\n"),
    PSEUDO_TEXT("arch", 0444, LX_UTS_MACHINE "\n"),
    PSEUDO_RW("hostname", 0644, show_hostname, store_hostname),
    PSEUDO_RW("domainname", 0644, show_domainname, store_domainname),
    PSEUDO_FILE("pid_max", 0444, show_pid_max),
    PSEUDO_FILE("ns_last_pid", 0444, show_last_pid),
    PSEUDO_TEXT("cap_last_cap", 0444, "40\n"),
    PSEUDO_TEXT("ngroups_max", 0444, "65536\n"),
    PSEUDO_TEXT("overflowuid", 0444, "65534\n"),
    PSEUDO_TEXT("overflowgid", 0444, "65534\n"),
    PSEUDO_RW("core_pattern", 0644, show_core_pattern, store_core_pattern),
    PSEUDO_TEXT("core_pipe_limit", 0444, "0\n"),
    PSEUDO_RW("core_uses_pid", 0644, show_core_uses_pid, store_core_uses_pid),
    ROW_TUNABLE("threads-max", kernel_threads_max),
    ROW_TUNABLE("randomize_va_space", kernel_randomize),
    ROW_TUNABLE("sysrq", kernel_sysrq),
    ROW_TUNABLE("kptr_restrict", kernel_kptr),
    ROW_TUNABLE("dmesg_restrict", kernel_dmesg),
    ROW_TUNABLE("perf_event_paranoid", kernel_perf),
    PSEUDO_TEXT("perf_event_max_stack", 0444, "127\n"),
    PSEUDO_TEXT("perf_event_max_sample_rate", 0444, "100000\n"),
    PSEUDO_TEXT("perf_event_mlock_kb", 0444, "516\n"),
    ROW_TUNABLE("panic", kernel_panic),
    ROW_TUNABLE("hung_task_timeout_secs", kernel_hung),
    ROW_TUNABLE("nmi_watchdog", kernel_nmi),
    ROW_TUNABLE("sched_autogroup_enabled", kernel_sched_autogroup),
    PSEUDO_TEXT("sched_rt_period_us", 0444, "1000000\n"),
    PSEUDO_TEXT("sched_rt_runtime_us", 0444, "950000\n"),
    PSEUDO_TEXT("sched_rr_timeslice_ms", 0444, "100\n"),
    PSEUDO_TEXT("sched_child_runs_first", 0444, "0\n"),
    ROW_TUNABLE("unprivileged_bpf_disabled", kernel_unpriv_bpf),
    ROW_TUNABLE("unprivileged_userns_clone", kernel_unpriv_userns),
    PSEUDO_TEXT("printk", 0444, "4\t4\t1\t7\n"),
    PSEUDO_TEXT("tainted", 0444, "0\n"),
    PSEUDO_TEXT("modules_disabled", 0444, "1\n"),
    PSEUDO_RW("sem", 0644, proc_show_sem_limits, proc_store_sem_limits),
    ROW_IPC(shmmax),
    ROW_IPC(shmall),
    ROW_IPC(shmmni),
    ROW_IPC(shm_rmid_forced),
    ROW_IPC(msgmax),
    ROW_IPC(msgmnb),
    ROW_IPC(msgmni),
    PSEUDO_TEXT("auto_msgmni", 0444, "0\n"),
    PSEUDO_TEXT("bootloader_type", 0444, "0\n"),
    PSEUDO_RW("io_uring_disabled", 0644, show_io_uring_disabled, store_io_uring_disabled),
    PSEUDO_DIR("random", 0555, random_table),
    PSEUDO_DIR("keys", 0555, keys_table),
    PSEUDO_DIR("yama", 0555, yama_table),
    PSEUDO_DIR("seccomp", 0555, seccomp_table),
    PSEUDO_DIR("pty", 0555, pty_table),
    {0},
};

/* ---- vm/ ------------------------------------------------------------------------------------- */

static struct tunable vm_overcommit = {.max = 2, .owner = &g_mm_overcommit.mode};
static struct tunable vm_overcommit_ratio = {.max = 0x7fffffff, .owner = &g_mm_overcommit.ratio};
static struct tunable vm_overcommit_kb = {.max = 0x7fffffff, .owner = &g_mm_overcommit.kbytes};
TUNABLE(vm_swappiness, 0, 200, 60);
TUNABLE(vm_max_map_count, 0, 0x7fffffff, 65530);
TUNABLE(vm_mmap_min_addr, 0, 0x7fffffff, 65536);
TUNABLE(vm_dirty_ratio, 0, 100, 20);
TUNABLE(vm_dirty_bg_ratio, 0, 100, 10);
TUNABLE(vm_dirty_expire, 0, 0x7fffffff, 3000);
TUNABLE(vm_dirty_writeback, 0, 0x7fffffff, 500);
TUNABLE(vm_dirty_bytes, 0, 0x7fffffff, 0);
TUNABLE(vm_drop_caches, 0, 7, 0);
TUNABLE(vm_vfs_pressure, 0, 0x7fffffff, 100);
TUNABLE(vm_min_free, 0, 0x7fffffff, 67584);
TUNABLE(vm_panic_oom, 0, 2, 0);
TUNABLE(vm_oom_kill_alloc, 0, 1, 0);
TUNABLE(vm_nr_hugepages, 0, 0x7fffffff, 0);
TUNABLE(vm_userfault, 0, 1, 0);
TUNABLE(vm_zone_reclaim, 0, 7, 0);
TUNABLE(vm_legacy_va, 0, 1, 0);
TUNABLE(vm_compaction, 0, 100, 20);
TUNABLE(vm_page_cluster, 0, 31, 3);

static const struct pseudo_entry vm_table[] = {
    ROW_TUNABLE("overcommit_memory", vm_overcommit),
    ROW_TUNABLE("overcommit_ratio", vm_overcommit_ratio),
    ROW_TUNABLE("overcommit_kbytes", vm_overcommit_kb),
    ROW_TUNABLE("swappiness", vm_swappiness),
    ROW_TUNABLE("max_map_count", vm_max_map_count),
    ROW_TUNABLE("mmap_min_addr", vm_mmap_min_addr),
    ROW_TUNABLE("dirty_ratio", vm_dirty_ratio),
    ROW_TUNABLE("dirty_background_ratio", vm_dirty_bg_ratio),
    ROW_TUNABLE("dirty_expire_centisecs", vm_dirty_expire),
    ROW_TUNABLE("dirty_writeback_centisecs", vm_dirty_writeback),
    ROW_TUNABLE("dirty_bytes", vm_dirty_bytes),
    ROW_TUNABLE("drop_caches", vm_drop_caches),
    ROW_TUNABLE("vfs_cache_pressure", vm_vfs_pressure),
    ROW_TUNABLE("min_free_kbytes", vm_min_free),
    ROW_TUNABLE("panic_on_oom", vm_panic_oom),
    ROW_TUNABLE("oom_kill_allocating_task", vm_oom_kill_alloc),
    ROW_TUNABLE("nr_hugepages", vm_nr_hugepages),
    PSEUDO_TEXT("nr_overcommit_hugepages", 0444, "0\n"),
    PSEUDO_TEXT("hugetlb_shm_group", 0444, "0\n"),
    ROW_TUNABLE("unprivileged_userfaultfd", vm_userfault),
    ROW_TUNABLE("zone_reclaim_mode", vm_zone_reclaim),
    ROW_TUNABLE("legacy_va_layout", vm_legacy_va),
    ROW_TUNABLE("compaction_proactiveness", vm_compaction),
    ROW_TUNABLE("page-cluster", vm_page_cluster),
    PSEUDO_TEXT("mmap_rnd_bits", 0444, "28\n"),
    PSEUDO_TEXT("user_reserve_kbytes", 0444, "131072\n"),
    PSEUDO_TEXT("admin_reserve_kbytes", 0444, "8192\n"),
    {0},
};

/* ---- fs/ ------------------------------------------------------------------------------------- */

TUNABLE(fs_nr_open, 8, 0x7fffffff, 1048576);
TUNABLE(fs_file_max, 0, 0x7fffffffffffffffl, 0x7fffffffffffffffl);
TUNABLE(fs_pipe_max, 4096, 0x7fffffff, 1048576);
TUNABLE(fs_pipe_soft, 0, 0x7fffffff, 16384);
TUNABLE(fs_pipe_hard, 0, 0x7fffffff, 0);
TUNABLE(fs_lease_break, 0, 0x7fffffff, 45);
TUNABLE(fs_dir_notify, 0, 1, 1);
TUNABLE(fs_mount_max, 1, 0x7fffffff, 100000);
TUNABLE(fs_suid_dumpable, 0, 2, 0);
TUNABLE(fs_protected_hard, 0, 1, 1);
TUNABLE(fs_protected_sym, 0, 1, 1);
TUNABLE(fs_protected_fifo, 0, 2, 1);
TUNABLE(fs_protected_reg, 0, 2, 2);
TUNABLE(inotify_watches, 0, 0x7fffffff, 65536);
TUNABLE(inotify_instances, 0, 0x7fffffff, 128);
TUNABLE(inotify_events, 0, 0x7fffffff, 16384);
TUNABLE(epoll_watches, 0, 0x7fffffff, 7182028);

static const struct pseudo_entry inotify_table[] = {
    ROW_TUNABLE("max_user_watches", inotify_watches),
    ROW_TUNABLE("max_user_instances", inotify_instances),
    ROW_TUNABLE("max_queued_events", inotify_events),
    {0},
};

static const struct pseudo_entry epoll_table[] = {
    ROW_TUNABLE("max_user_watches", epoll_watches),
    {0},
};

static const struct pseudo_entry binfmt_table[] = {{0}};

static const struct pseudo_entry fs_table[] = {
    PSEUDO_TEXT("file-nr", 0444, "1024\t0\t9223372036854775807\n"),
    PSEUDO_TEXT("inode-nr", 0444, "1024\t0\n"),
    PSEUDO_TEXT("inode-state", 0444, "1024\t0\t0\t0\t0\t0\t0\n"),
    PSEUDO_TEXT("dentry-state", 0444, "1024\t0\t45\t0\t0\t0\n"),
    PSEUDO_TEXT("overflowuid", 0444, "65534\n"),
    PSEUDO_TEXT("overflowgid", 0444, "65534\n"),
    ROW_TUNABLE("nr_open", fs_nr_open),
    ROW_TUNABLE("file-max", fs_file_max),
    ROW_TUNABLE("pipe-max-size", fs_pipe_max),
    ROW_TUNABLE("pipe-user-pages-soft", fs_pipe_soft),
    ROW_TUNABLE("pipe-user-pages-hard", fs_pipe_hard),
    ROW_TUNABLE("lease-break-time", fs_lease_break),
    PSEUDO_TEXT("leases-enable", 0444, "1\n"),
    ROW_TUNABLE("dir-notify-enable", fs_dir_notify),
    ROW_KERNEL("aio-max-nr", 0644, g_aio_max_nr),
    ROW_KERNEL("aio-nr", 0444, g_aio_nr),
    ROW_TUNABLE("mount-max", fs_mount_max),
    ROW_TUNABLE("suid_dumpable", fs_suid_dumpable),
    ROW_TUNABLE("protected_hardlinks", fs_protected_hard),
    ROW_TUNABLE("protected_symlinks", fs_protected_sym),
    ROW_TUNABLE("protected_fifos", fs_protected_fifo),
    ROW_TUNABLE("protected_regular", fs_protected_reg),
    PSEUDO_DIR("inotify", 0555, inotify_table),
    PSEUDO_DIR("epoll", 0555, epoll_table),
    PSEUDO_DIR("mqueue", 0555, g_proc_sys_mqueue_table),
    PSEUDO_DIR("binfmt_misc", 0555, binfmt_table),
    {0},
};

/* ---- user/ ----------------------------------------------------------------------------------- */

TUNABLE(user_max_user, 0, 0x7fffffff, 63500);
TUNABLE(user_max_other, 0, 0x7fffffff, 63500);

static const struct pseudo_entry user_table[] = {
    ROW_TUNABLE("max_user_namespaces", user_max_user),
    ROW_TUNABLE("max_pid_namespaces", user_max_other),
    ROW_TUNABLE("max_mnt_namespaces", user_max_other),
    ROW_TUNABLE("max_net_namespaces", user_max_other),
    ROW_TUNABLE("max_ipc_namespaces", user_max_other),
    ROW_TUNABLE("max_uts_namespaces", user_max_other),
    ROW_TUNABLE("max_cgroup_namespaces", user_max_other),
    ROW_TUNABLE("max_time_namespaces", user_max_other),
    {0},
};

static const struct pseudo_entry empty_table[] = {{0}};

const struct pseudo_entry g_proc_sys_table[] = {
    PSEUDO_DIR("kernel", 0555, kernel_table), PSEUDO_DIR("vm", 0555, vm_table),
    PSEUDO_DIR("fs", 0555, fs_table),         PSEUDO_DIR("net", 0555, g_proc_sys_net_table),
    PSEUDO_DIR("user", 0555, user_table),     PSEUDO_DIR("dev", 0555, empty_table),
    PSEUDO_DIR("abi", 0555, empty_table),     {0},
};
