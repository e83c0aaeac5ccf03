/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smaller files of /proc/PID: scheduling, accounting, OOM, ids and namespaces. Written files
 * check the writer as Linux does; the plain permission bits were checked at open.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/core/userns.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/coredump.h"
#include "sentry/kernel/oom.h"
#include "sentry/kernel/timens.h"
#include "sentry/mm/mm.h"
#include "sentry/net/netns.h"
#include "sentry/proc/nsfs.h"
#include "sentry/proc/proc_internal.h"

static int info_of(struct pseudo_node *n, struct task_info *out)
{
    struct task *t;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    task_info_get(t, proc_ns(n), out);
    task_put(t);
    return 0;
}

static int parse_number(const char *text, long min, long max, long *out)
{
    char *end;

    errno = 0;
    *out = strtol(text, &end, 0);
    if (end == text || errno)
        return -EINVAL;
    while (*end == ' ' || *end == '\n' || *end == '\t')
        end++;
    return *end || *out < min || *out > max ? -EINVAL : 0;
}

/* ---- accounting ----------------------------------------------------------------------------- */

static int show_io(struct pseudo_node *n, struct pbuf *b, bool whole)
{
    const struct io_counts *io;
    struct task_info ti;
    int ret = info_of(n, &ti);

    if (ret < 0)
        return ret;
    io = whole ? &ti.tg_io : &ti.io;
    pbuf_printf(b, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\n",
                (unsigned long long)io->rchar, (unsigned long long)io->wchar,
                (unsigned long long)io->syscr, (unsigned long long)io->syscw);
    pbuf_puts(b, "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
    return 0;
}

int proc_show_io_process(struct pseudo_node *n, struct pbuf *b)
{
    return show_io(n, b, /*whole=*/true);
}

int proc_show_io_thread(struct pseudo_node *n, struct pbuf *b)
{
    return show_io(n, b, /*whole=*/false);
}

static int show_schedstat(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    int ret = info_of(n, &ti);

    if (ret < 0)
        return ret;
    pbuf_printf(b, "%llu 0 %llu\n", (unsigned long long)(ti.utime + ti.stime),
                (unsigned long long)(ti.voluntary_switches + ti.involuntary_switches));
    return 0;
}

static int show_sched(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    int ret = info_of(n, &ti);
    uint64_t ms;

    if (ret < 0)
        return ret;
    ms = (ti.utime + ti.stime) / 1000;
    pbuf_printf(b, "%s (%d, #threads: %u)\n", ti.comm, ti.tid, ti.thread_count);
    pbuf_puts(b, "-------------------------------------------------------------------\n");
    pbuf_printf(b, "se.exec_start                                :%21llu.%06u\n",
                (unsigned long long)(ti.start_boottime / 1000000), 0u);
    pbuf_printf(b, "se.sum_exec_runtime                          :%21llu.%06u\n",
                (unsigned long long)(ms / 1000), (uint32_t)(ms % 1000 * 1000));
    pbuf_printf(b, "nr_switches                                  :%21llu\n",
                (unsigned long long)(ti.voluntary_switches + ti.involuntary_switches));
    pbuf_printf(b, "nr_voluntary_switches                        :%21llu\n",
                (unsigned long long)ti.voluntary_switches);
    pbuf_printf(b, "nr_involuntary_switches                      :%21llu\n",
                (unsigned long long)ti.involuntary_switches);
    pbuf_printf(b, "policy                                       :%21d\n", ti.policy);
    pbuf_printf(b, "prio                                         :%21d\n", 120 + ti.nice);
    return 0;
}

static int show_wchan(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    int ret = info_of(n, &ti);

    if (ret == 0)
        pbuf_puts(b, ti.wchan ? ti.wchan : "0");
    return ret;
}

static int show_syscall(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    int ret = info_of(n, &ti);

    if (ret < 0)
        return ret;
    if (!ti.syscall_blocked) {
        pbuf_puts(b, "running\n");
        return 0;
    }
    if (ti.syscall_nr < 0) {
        pbuf_printf(b, "-1 0x%llx 0x%llx\n", (unsigned long long)ti.sp, (unsigned long long)ti.pc);
        return 0;
    }
    pbuf_printf(b, "%lld", (long long)ti.syscall_nr);
    for (size_t i = 0; i < ARRAY_COUNT(ti.syscall_args); i++)
        pbuf_printf(b, " 0x%llx", (unsigned long long)ti.syscall_args[i]);
    pbuf_printf(b, " 0x%llx 0x%llx\n", (unsigned long long)ti.sp, (unsigned long long)ti.pc);
    return 0;
}

static int show_coredump_filter(struct pseudo_node *n, struct pbuf *b)
{
    struct task *t;
    struct mm *mm;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    mm = task_mm_get(t);
    if (mm) {
        pbuf_printf(b, "%08x\n", coredump_filter(t));
        mm_put(mm);
    }
    task_put(t);
    return 0;
}

static ssize_t store_coredump_filter(struct pseudo_node *n, char *data, size_t size)
{
    struct task *t;
    unsigned long v;
    char *end;
    int ret;

    errno = 0;
    v = strtoul(data, &end, 0);
    if (end == data || errno || v > UINT32_MAX || (*end && *end != '\n'))
        return -EINVAL;
    ret = proc_task_get(n, &t);
    if (ret < 0)
        return ret;
    coredump_set_filter(t, (uint32_t)v);
    task_put(t);
    return (ssize_t)size;
}

/* ---- OOM ------------------------------------------------------------------------------------ */

static int show_oom_score_adj(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    int ret = info_of(n, &ti);

    if (ret == 0)
        pbuf_printf(b, "%d\n", ti.oom_score_adj);
    return ret;
}

static ssize_t store_oom_score_adj(struct pseudo_node *n, char *data, size_t size)
{
    struct task *t;
    long v;
    int ret = parse_number(data, -1000, 1000, &v);

    if (ret == 0)
        ret = proc_task_get(n, &t);
    if (ret < 0)
        return ret;
    ret = task_set_oom_score_adj(t, (int)v);
    task_put(t);
    return ret < 0 ? ret : (ssize_t)size;
}

/* The old interface: -17..15, -17 being "never". */
static int show_oom_adj(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    int ret = info_of(n, &ti);

    if (ret == 0)
        pbuf_printf(b, "%d\n", ti.oom_score_adj == 1000 ? 15 : ti.oom_score_adj * 17 / 1000);
    return ret;
}

static ssize_t store_oom_adj(struct pseudo_node *n, char *data, size_t size)
{
    struct task *t;
    long v;
    int ret = parse_number(data, -17, 15, &v);

    if (ret == 0)
        ret = proc_task_get(n, &t);
    if (ret < 0)
        return ret;
    ret = task_set_oom_score_adj(t, v == 15 ? 1000 : (int)(v * 1000 / 17));
    task_put(t);
    return ret < 0 ? ret : (ssize_t)size;
}

static int show_oom_score(struct pseudo_node *n, struct pbuf *b)
{
    struct task *t;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    pbuf_printf(b, "%d\n", oom_score(t));
    task_put(t);
    return 0;
}

/* ---- control group -------------------------------------------------------------------------- */

static int show_cgroup(struct pseudo_node *n, struct pbuf *b)
{
    struct kcgroup *cg;
    struct task *t;
    char *path;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    cg = task_cgroup_get(t);
    task_put(t);
    path = cgroup_path(cg, curr()->cgroupns ? cgroupns_root(curr()->cgroupns) : cg);
    cgroup_put(cg);
    if (!path)
        return -ENOMEM;
    pbuf_printf(b, "0::%s\n", path);
    free(path);
    return 0;
}

/* ---- settings ------------------------------------------------------------------------------- */

static int show_timerslack(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    int ret = info_of(n, &ti);

    if (ret == 0)
        pbuf_printf(b, "%llu\n", (unsigned long long)ti.timer_slack);
    return ret;
}

static int show_personality(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    int ret = info_of(n, &ti);

    if (ret == 0)
        pbuf_printf(b, "%08x\n", ti.personality);
    return ret;
}

static int show_loginuid(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    int ret = info_of(n, &ti);

    if (ret == 0 && ti.loginuid == LX_ID_INVALID)
        pbuf_printf(b, "%u", LX_ID_INVALID);
    else if (ret == 0)
        pbuf_printf(b, "%u", userns_from_kuid(curr()->cred->userns, ti.loginuid));
    return ret;
}

static int show_sessionid(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    int ret = info_of(n, &ti);

    if (ret == 0)
        pbuf_printf(b, "%u", ti.sessionid);
    return ret;
}

/* Each thread sets its own: pam_loginuid. */
static ssize_t store_loginuid(struct pseudo_node *n, char *data, size_t size)
{
    lx_uid_t kuid = LX_ID_INVALID;
    struct task *t;
    bool own;
    long v;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    own = t == current_task();
    task_put(t);
    if (!own)
        return -EPERM;
    ret = parse_number(data, 0, UINT32_MAX, &v);
    if (ret < 0)
        return ret;
    if (v != LX_ID_INVALID) {
        kuid = userns_to_kuid(curr()->cred->userns, (lx_uid_t)v);
        if (kuid == LX_ID_INVALID)
            return -EINVAL;
    }
    ret = task_set_loginuid(kuid);
    return ret < 0 ? ret : (ssize_t)size;
}

static ssize_t store_timerslack(struct pseudo_node *n, char *data, size_t size)
{
    struct task *t;
    long v;
    int ret = parse_number(data, 0, INT64_MAX, &v);

    if (ret == 0)
        ret = proc_task_get(n, &t);
    if (ret < 0)
        return ret;
    task_set_timer_slack(t, (uint64_t)v);
    task_put(t);
    return (ssize_t)size;
}

static ssize_t store_ignored(struct pseudo_node *n, char *data, size_t size)
{
    return (ssize_t)size;
}

/* ---- user namespaces ------------------------------------------------------------------------ */

static int userns_of(struct pseudo_node *n, struct userns **out)
{
    struct task *t;
    struct cred *c;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    c = task_cred_get(t);
    task_put(t);
    if (!c)
        return -ESRCH;
    *out = userns_get(c->userns);
    cred_put(c);
    return 0;
}

static int show_map(struct pseudo_node *n, struct pbuf *b, bool gid)
{
    struct userns *ns;
    char text[4096];
    size_t size;
    int ret = userns_of(n, &ns);

    if (ret < 0)
        return ret;
    size = userns_map_format(ns, gid, curr()->cred->userns, text, sizeof(text));
    pbuf_put(b, text, MIN(size, sizeof(text) - 1));
    userns_put(ns);
    return 0;
}

static ssize_t store_map(struct pseudo_node *n, const char *data, size_t size, bool gid)
{
    struct userns *ns;
    ssize_t ret = userns_of(n, &ns);

    if (ret < 0)
        return ret;
    ret = userns_map_write(ns, gid, data, size, curr()->cred);
    userns_put(ns);
    return ret;
}

static int show_uid_map(struct pseudo_node *n, struct pbuf *b)
{
    return show_map(n, b, /*gid=*/false);
}

static ssize_t store_uid_map(struct pseudo_node *n, char *data, size_t size)
{
    return store_map(n, data, size, /*gid=*/false);
}

static int show_gid_map(struct pseudo_node *n, struct pbuf *b)
{
    return show_map(n, b, /*gid=*/true);
}

static ssize_t store_gid_map(struct pseudo_node *n, char *data, size_t size)
{
    return store_map(n, data, size, /*gid=*/true);
}

static int show_setgroups(struct pseudo_node *n, struct pbuf *b)
{
    struct userns *ns;
    int ret = userns_of(n, &ns);

    if (ret < 0)
        return ret;
    pbuf_puts(b, ns->setgroups == USERNS_SETGROUPS_ALLOW ? "allow\n" : "deny\n");
    userns_put(ns);
    return 0;
}

static ssize_t store_setgroups(struct pseudo_node *n, char *data, size_t size)
{
    struct userns *ns;
    int ret;
    bool allow = strncmp(data, "allow", 5) == 0;

    data[strcspn(data, "\n")] = '\0';
    if (strcmp(data, "allow") != 0 && strcmp(data, "deny") != 0)
        return -EINVAL;
    ret = userns_of(n, &ns);
    if (ret < 0)
        return ret;
    ret = cred_ns_capable(curr()->cred, ns, LX_CAP_SYS_ADMIN) ? userns_setgroups_write(ns, allow)
                                                              : -EPERM;
    userns_put(ns);
    return ret < 0 ? ret : (ssize_t)size;
}

/* ---- ns/ ------------------------------------------------------------------------------------ */

static int ns_follow(struct pseudo_node *n, struct path *out)
{
    return nsfs_path(n->pid, n->kind, n->entry->data, out);
}

#define ROW_NS(link, kind)                                                                         \
    {                                                                                              \
        .name = (link), .mode = 0120777, .follow = ns_follow, .access = proc_access_ptrace_read,   \
        .data = (kind)                                                                             \
    }

const struct pseudo_entry g_proc_ns_table[] = {
    ROW_NS("cgroup", "cgroup"),
    ROW_NS("ipc", "ipc"),
    ROW_NS("mnt", "mnt"),
    ROW_NS("net", "net"),
    ROW_NS("pid", "pid"),
    ROW_NS("pid_for_children", "pid"),
    ROW_NS("time", "time"),
    ROW_NS("time_for_children", "time_for_children"),
    ROW_NS("user", "user"),
    ROW_NS("uts", "uts"),
    {0},
};

/* ---- task/TID/children ---------------------------------------------------------------------- */

static int show_children(struct pseudo_node *n, struct pbuf *b)
{
    struct pidns *ns = proc_ns(n);
    struct task_info me, ti;
    struct task *t;
    struct pid *p;
    lx_pid_t nr = 1;
    int ret = info_of(n, &me);

    if (ret < 0)
        return ret;
    while (nr > 0 && (p = pidns_next_process_get(ns, nr, &nr)) != NULL) {
        t = pid_task_get(p, PID_TGID);
        if (t) {
            task_info_get(t, ns, &ti);
            /* Children belong to the process; they are shown under its leader. */
            if (ti.ppid == me.tgid && me.tid == me.tgid)
                pbuf_printf(b, "%d ", ti.tgid);
            task_put(t);
        }
        pid_put(p);
        nr++;
    }
    return 0;
}

/* ---- attr/ ---------------------------------------------------------------------------------- */

/* Linux: without a security module the files are there and every read fails. */
static int show_attr(struct pseudo_node *n, struct pbuf *b)
{
    return -EINVAL;
}

static ssize_t store_attr(struct pseudo_node *n, char *data, size_t size)
{
    return -EINVAL;
}

static const struct pseudo_entry attr_table[] = {
    PSEUDO_RW("current", 0666, show_attr, store_attr),
    PSEUDO_FILE("prev", 0444, show_attr),
    PSEUDO_RW("exec", 0666, show_attr, store_attr),
    PSEUDO_RW("fscreate", 0666, show_attr, store_attr),
    PSEUDO_RW("keycreate", 0666, show_attr, store_attr),
    PSEUDO_RW("sockcreate", 0666, show_attr, store_attr),
    {0},
};

static int net_follow_dir(struct pseudo_node *n)
{
    struct task *t;
    struct netns *ns;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    ns = task_netns_get(t);
    task_put(t);
    if (!ns)
        return -EINVAL;
    netns_put(ns);
    return 0;
}

/* Rows that processes and threads share; proc_pid.c puts them into both tables. */
const struct pseudo_entry g_proc_pid_more_table[] = {
    {.name = "net", .mode = 0040555, .children = g_proc_net_table, .access = net_follow_dir},
    PSEUDO_DIR("ns", 0511, g_proc_ns_table),
    PSEUDO_DIR("attr", 0555, attr_table),
    PSEUDO_FILE("schedstat", 0444, show_schedstat),
    PSEUDO_RW("sched", 0644, show_sched, store_ignored),
    PSEUDO_FILE("wchan", 0444, show_wchan),
    {.name = "syscall", .mode = 0100400, .show = show_syscall, .access = proc_access_ptrace_read},
    PSEUDO_TEXT("stack", 0400, ""),
    {.name = "personality",
     .mode = 0100400,
     .show = show_personality,
     .access = proc_access_ptrace_read},
    PSEUDO_FILE("oom_score", 0444, show_oom_score),
    PSEUDO_RW("oom_score_adj", 0644, show_oom_score_adj, store_oom_score_adj),
    PSEUDO_RW("oom_adj", 0644, show_oom_adj, store_oom_adj),
    PSEUDO_RW("loginuid", 0644, show_loginuid, store_loginuid),
    PSEUDO_FILE("sessionid", 0444, show_sessionid),
    PSEUDO_FILE("cgroup", 0444, show_cgroup),
    PSEUDO_TEXT("cpuset", 0444, "/\n"),
    PSEUDO_RW("uid_map", 0644, show_uid_map, store_uid_map),
    PSEUDO_RW("gid_map", 0644, show_gid_map, store_gid_map),
    PSEUDO_RW("setgroups", 0644, show_setgroups, store_setgroups),
    PSEUDO_RW("projid_map", 0644, show_gid_map, NULL),
    PSEUDO_FILE("children", 0444, show_children),
    {.name = "mem", .mode = 0100600, .open = proc_open_mem},
    {.name = "pagemap", .mode = 0100400, .open = proc_open_pagemap},
    {.name = "clear_refs", .mode = 0100200, .store = store_ignored},
    {.name = "smaps", .mode = 0100444, .show = proc_show_smaps, .access = proc_access_ptrace_read},
    {.name = "smaps_rollup",
     .mode = 0100444,
     .show = proc_show_smaps_rollup,
     .access = proc_access_ptrace_read},
    {.name = "numa_maps",
     .mode = 0100444,
     .show = proc_show_numa_maps,
     .access = proc_access_ptrace_read},
    PSEUDO_RW("timerslack_ns", 0666, show_timerslack, store_timerslack),
    {.name = "coredump_filter",
     .mode = 0100644,
     .show = show_coredump_filter,
     .store = store_coredump_filter},
    {.name = "autogroup",
     .mode = 0100644,
     .show = pseudo_show_text,
     .store = store_ignored,
     .data = "/autogroup-1 nice 0\n"},
    PSEUDO_TEXT("timers", 0444, ""),
    PSEUDO_TEXT("patch_state", 0444, "-1\n"),
    {0},
};
