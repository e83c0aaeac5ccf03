/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID and /proc/PID/task/TID: the tables, the links and the one-line files. Files with more
 * to say have a source of their own (pid_stat.c, pid_maps.c, pid_mem.c, pid_fd.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/mm.h"
#include "sentry/proc/proc_internal.h"

/* ---- links --------------------------------------------------------------------------------- */

static int exe_follow(struct pseudo_node *n, struct path *out)
{
    struct task *t;
    struct mm *mm;
    struct file *exe;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return -ENOENT;
    mm = task_mm_get(t);
    task_put(t);
    exe = mm ? mm_exe_get(mm) : NULL;
    if (mm)
        mm_put(mm);
    if (!exe)
        return -ENOENT;
    *out = exe->path;
    path_get(out);
    file_put(exe);
    return 0;
}

static int fs_follow(struct pseudo_node *n, struct path *out,
                     void (*get)(struct fs_ctx *, struct path *))
{
    struct task *t;
    struct fs_ctx *fs;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return -ENOENT;
    fs = task_fs_get(t);
    task_put(t);
    if (!fs)
        return -ENOENT;
    get(fs, out);
    fs_ctx_put(fs);
    return 0;
}

static int cwd_follow(struct pseudo_node *n, struct path *out)
{
    return fs_follow(n, out, fs_ctx_cwd);
}

static int root_follow(struct pseudo_node *n, struct path *out)
{
    return fs_follow(n, out, fs_ctx_root);
}

/* ---- small files --------------------------------------------------------------------------- */

static int show_comm(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    struct task *t;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    task_info_get(t, proc_ns(n), &ti);
    task_put(t);
    proc_put_comm(b, ti.comm, "\n\\");
    pbuf_putc(b, '\n');
    return 0;
}

static ssize_t store_comm(struct pseudo_node *n, char *data, size_t size)
{
    char comm[16] = {0};
    struct task *t;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    memcpy(comm, data, MIN(size, sizeof(comm) - 1));
    comm[strcspn(comm, "\n")] = '\0';
    if (t->tg == current_task()->tg)
        task_set_comm(t, comm);
    else
        ret = -EINVAL;
    task_put(t);
    return ret < 0 ? ret : (ssize_t)size;
}

struct limit_row {
    const char *name, *unit;
};

static const struct limit_row limit_rows[LX_RLIM_COUNT] = {
    [LX_RLIMIT_CPU] = {"Max cpu time", "seconds"},
    [LX_RLIMIT_FSIZE] = {"Max file size", "bytes"},
    [LX_RLIMIT_DATA] = {"Max data size", "bytes"},
    [LX_RLIMIT_STACK] = {"Max stack size", "bytes"},
    [LX_RLIMIT_CORE] = {"Max core file size", "bytes"},
    [LX_RLIMIT_RSS] = {"Max resident set", "bytes"},
    [LX_RLIMIT_NPROC] = {"Max processes", "processes"},
    [LX_RLIMIT_NOFILE] = {"Max open files", "files"},
    [LX_RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
    [LX_RLIMIT_AS] = {"Max address space", "bytes"},
    [LX_RLIMIT_LOCKS] = {"Max file locks", "locks"},
    [LX_RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
    [LX_RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
    [LX_RLIMIT_NICE] = {"Max nice priority", ""},
    [LX_RLIMIT_RTPRIO] = {"Max realtime priority", ""},
    [LX_RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
};

static void limit_text(uint64_t v, char out[24])
{
    if (v == LX_RLIM_INFINITY)
        snprintf(out, 24, "unlimited");
    else
        snprintf(out, 24, "%llu", (unsigned long long)v);
}

static int show_limits(struct pseudo_node *n, struct pbuf *b)
{
    struct task_info ti;
    struct task *t;
    char cur[24], max[24];
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    task_info_get(t, proc_ns(n), &ti);
    task_put(t);
    pbuf_printf(b, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (size_t i = 0; i < LX_RLIM_COUNT; i++) {
        limit_text(ti.rlimit_cur[i], cur);
        limit_text(ti.rlimit_max[i], max);
        pbuf_printf(b, "%-25s %-20s %-20s ", limit_rows[i].name, cur, max);
        if (limit_rows[i].unit[0])
            pbuf_printf(b, "%-10s\n", limit_rows[i].unit);
        else
            pbuf_putc(b, '\n');
    }
    return 0;
}

static int show_mounts_as(struct pseudo_node *n, struct pbuf *b, enum mounts_format format)
{
    struct mntns *ns;
    struct fs_ctx *fs;
    struct path root;
    struct task *t;
    char *text;
    size_t size;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    ns = task_mntns_get(t);
    fs = task_fs_get(t);
    task_put(t);
    if (ns && fs) {
        fs_ctx_root(fs, &root);
        ret = mntns_format(ns, &root, format, &text, &size);
        path_put(&root);
        if (ret == 0) {
            pbuf_put(b, text, size);
            free(text);
        }
    } else {
        ret = -EINVAL;
    }
    if (fs)
        fs_ctx_put(fs);
    if (ns)
        mntns_put(ns);
    return ret;
}

static int show_mounts(struct pseudo_node *n, struct pbuf *b)
{
    return show_mounts_as(n, b, MOUNTS_MOUNTS);
}

static int show_mountinfo(struct pseudo_node *n, struct pbuf *b)
{
    return show_mounts_as(n, b, MOUNTS_MOUNTINFO);
}

static int show_mountstats(struct pseudo_node *n, struct pbuf *b)
{
    return show_mounts_as(n, b, MOUNTS_MOUNTSTATS);
}

/* ---- task/ ----------------------------------------------------------------------------------- */

static int task_dir_lookup(struct pseudo_node *dir, const char *name, size_t len,
                           struct pseudo_node **out)
{
    int64_t nr = pseudo_parse_nr(name, len);
    struct task *process, *t;
    struct pid *p;
    int ret;

    *out = NULL;
    if (nr <= 0)
        return 0;
    ret = proc_task_get(dir, &process);
    if (ret < 0)
        return -ENOENT;
    p = pidns_find_pid_get(proc_ns(dir), (lx_pid_t)nr);
    t = p ? pid_task_get(p, PID_TID) : NULL;
    if (t && t->tg == process->tg) {
        ret = pseudo_node_new(dir, &g_proc_tid_entry, name, len, out);
        if (ret == 0)
            pseudo_node_set_pid(*out, p, PID_TID);
    }
    if (t)
        task_put(t);
    pid_put(p);
    task_put(process);
    return ret;
}

static int task_dir_next(struct pseudo_node *dir, uint64_t *cookie, struct pseudo_name *out)
{
    struct task *t;
    struct pid *p;
    lx_pid_t nr;
    int ret;

    if (*cookie > INT32_MAX)
        return 0;
    ret = proc_task_get(dir, &t);
    if (ret < 0)
        return -ENOENT;
    p = task_next_thread_get(t, proc_ns(dir), (lx_pid_t)*cookie, &nr);
    task_put(t);
    if (!p)
        return 0;
    pid_put(p);
    snprintf(out->name, sizeof(out->name), "%d", nr);
    out->mode = 0040555;
    *cookie = (uint64_t)nr + 1;
    return 1;
}

const struct pseudo_dir g_proc_task_dir = {
    .lookup = task_dir_lookup,
    .next = task_dir_next,
};

/* ---- tables ---------------------------------------------------------------------------------- */

#define LINK_MAGIC(n, fn)                                                                          \
    {                                                                                              \
        .name = (n), .mode = 0120777, .follow = (fn), .access = proc_access_ptrace_read            \
    }
#define FILE_PTRACE(n, m, fn)                                                                      \
    {                                                                                              \
        .name = (n), .mode = 0100000 | (m), .show = (fn), .access = proc_access_ptrace_read        \
    }
/* Rows that processes and threads have in common. */
#define ROWS_COMMON                                                                                \
    {.name = "fd", .mode = 0040500, .dir = &g_proc_fd_dir},                                        \
        {.name = "fdinfo",                                                                         \
         .mode = 0040555,                                                                          \
         .dir = &g_proc_fdinfo_dir,                                                                \
         .access = proc_access_ptrace_read},                                                       \
        FILE_PTRACE("environ", 0400, proc_show_environ),                                           \
        FILE_PTRACE("auxv", 0400, proc_show_auxv), PSEUDO_FILE("status", 0444, proc_show_status),  \
        PSEUDO_FILE("limits", 0444, show_limits), PSEUDO_RW("comm", 0644, show_comm, store_comm),  \
        PSEUDO_FILE("cmdline", 0444, proc_show_cmdline),                                           \
        PSEUDO_FILE("statm", 0444, proc_show_statm), FILE_PTRACE("maps", 0444, proc_show_maps),    \
        LINK_MAGIC("cwd", cwd_follow), LINK_MAGIC("root", root_follow),                            \
        LINK_MAGIC("exe", exe_follow), PSEUDO_FILE("mounts", 0444, show_mounts),                   \
        PSEUDO_FILE("mountinfo", 0444, show_mountinfo)

const struct pseudo_entry g_proc_pid_table[] = {
    {.name = "task", .mode = 0040555, .dir = &g_proc_task_dir},
    ROWS_COMMON,
    PSEUDO_FILE("io", 0400, proc_show_io_process),
    PSEUDO_FILE("stat", 0444, proc_show_stat_process),
    PSEUDO_FILE("mountstats", 0400, show_mountstats),
    PSEUDO_RW("timens_offsets", 0644, proc_show_timens_offsets, proc_store_timens_offsets),
    {0},
};

static const struct pseudo_entry proc_tid_table[] = {
    ROWS_COMMON,
    PSEUDO_FILE("io", 0400, proc_show_io_thread),
    PSEUDO_FILE("stat", 0444, proc_show_stat_thread),
    {0},
};

const struct pseudo_entry g_proc_pid_entry = {
    .name = "PID",
    .mode = 0040555,
    .children = g_proc_pid_table,
    .more = g_proc_pid_more_table,
};

const struct pseudo_entry g_proc_tid_entry = {
    .name = "TID",
    .mode = 0040555,
    .children = proc_tid_table,
    .more = g_proc_pid_more_table,
};
