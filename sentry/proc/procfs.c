/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The procfs super: ties the table frame (pseudo.h) to a pid namespace, and the directory of
 * processes at its root. proc(5).
 *
 * A process directory belongs to the process's effective ids, or to root when the process is not
 * dumpable, and vanishes when the process was reaped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/mm.h"
#include "sentry/proc/proc_internal.h"

#define PROC_SUPER_MAGIC 0x9fa0

struct pidns *proc_ns(const struct pseudo_node *n)
{
    return pseudo_super_of(n)->ns;
}

int proc_task_get(const struct pseudo_node *n, struct task **out)
{
    *out = n->pid ? pid_task_get(n->pid, n->kind) : NULL;
    return *out ? 0 : -ESRCH;
}

int proc_access_ptrace_read(struct pseudo_node *n)
{
    struct task *t;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    ret = task_ptrace_may_access(t, LX_PTRACE_MODE_READ | LX_PTRACE_MODE_FSCREDS);
    task_put(t);
    return ret < 0 ? -EACCES : 0;
}

void proc_put_comm(struct pbuf *b, const char *comm, const char *esc)
{
    for (; *comm; comm++) {
        if (*comm == '\n' && strchr(esc, '\n'))
            pbuf_puts(b, "\\n");
        else if (*comm == '\\' && strchr(esc, '\\'))
            pbuf_puts(b, "\\\\");
        else
            pbuf_putc(b, *comm);
    }
}

static void proc_refresh(struct pseudo_node *n)
{
    struct task *t;
    struct mm *mm;
    struct cred *c;

    if (proc_task_get(n, &t) < 0)
        return;
    mm = task_mm_get(t);
    c = task_cred_get(t);
    if (n->entry->dir == &g_proc_task_dir) /* programs count their threads by it */
        n->inode.attr.nlink = 2 + task_thread_count(t);
    /* Linux: the world-readable directories themselves always show the owner. */
    if (c && (inode_type(&n->inode) == 0040000 || (mm && mm_dumpable(mm)))) {
        n->inode.attr.uid = c->euid;
        n->inode.attr.gid = c->egid;
    } else {
        n->inode.attr.uid = n->inode.attr.gid = 0;
    }
    if (c)
        cred_put(c);
    if (mm)
        mm_put(mm);
    task_put(t);
}

static bool proc_valid(struct pseudo_node *n)
{
    struct fdtable *files;
    struct file *f;
    struct task *t;
    bool ok;

    if (!n->pid)
        return true;
    if (proc_task_get(n, &t) < 0)
        return false;
    ok = true;
    if (n->entry->data == &g_proc_fd_dir) {
        files = task_files_get(t);
        ok = files && fdtable_lookup_any_get(files, (int)n->arg, &f) == 0;
        if (ok)
            file_put(f);
        if (files)
            fdtable_put(files);
    }
    task_put(t);
    return ok;
}

/* A process may always look into its own descriptors, also after it changed its ids. */
static bool proc_grants(struct pseudo_node *n)
{
    struct task *t, *me = current_task();
    bool own;

    if (!n->pid || n->entry->dir != &g_proc_fd_dir || !me || proc_task_get(n, &t) < 0)
        return false;
    own = t->tg == me->tg;
    task_put(t);
    return own;
}

static void proc_free_private(struct pseudo_super *ps)
{
    if (ps->ns)
        pidns_put(ps->ns);
}

/* ---- the root directory: static rows, then one directory per process ------------------------ */

static int proc_root_lookup(struct pseudo_node *dir, const char *name, size_t len,
                            struct pseudo_node **out)
{
    int64_t nr = pseudo_parse_nr(name, len);
    struct task *t;
    struct pid *p;
    int ret;

    *out = NULL;
    if (nr <= 0)
        return 0;
    p = pidns_find_pid_get(proc_ns(dir), (lx_pid_t)nr);
    if (!p)
        return 0;
    /* Linux: threads that lead no group are found by number too, but never listed. */
    t = pid_task_get(p, PID_TID);
    ret = 0;
    if (t) {
        task_put(t);
        ret = pseudo_node_new(dir, &g_proc_pid_entry, name, len, out);
        if (ret == 0)
            pseudo_node_set_pid(*out, p, PID_TID);
    }
    pid_put(p);
    return ret;
}

static int proc_root_next(struct pseudo_node *dir, uint64_t *cookie, struct pseudo_name *out)
{
    lx_pid_t nr;
    struct pid *p;

    if (*cookie > INT32_MAX)
        return 0;
    p = pidns_next_process_get(proc_ns(dir), (lx_pid_t)*cookie, &nr);
    if (!p)
        return 0;
    pid_put(p);
    snprintf(out->name, sizeof(out->name), "%d", nr);
    out->mode = 0040555;
    *cookie = (uint64_t)nr + 1;
    return 1;
}

static const struct pseudo_dir proc_root_dir = {
    .lookup = proc_root_lookup,
    .next = proc_root_next,
};

static const struct pseudo_entry proc_root_entry = {
    .name = "/",
    .mode = 0040555,
    .children = g_proc_root_table,
    .dir = &proc_root_dir,
};

int procfs_create(struct pidns *ns, struct super **out)
{
    struct pseudo_super *ps = calloc(1, sizeof(*ps));

    if (!ps)
        return -ENOMEM;
    ps->ns = pidns_get(ns);
    ps->magic = PROC_SUPER_MAGIC;
    ps->refresh = proc_refresh;
    ps->valid = proc_valid;
    ps->grants = proc_grants;
    ps->free_private = proc_free_private;
    return pseudo_super_setup_take(ps, "proc", &proc_root_entry, out);
}

static int proc_mount(const struct fs_type *type, const char *source, const char *options,
                      uint32_t super_flags, struct super **out)
{
    return procfs_create(curr()->pidns, out);
}

const struct fs_type g_fs_proc = {
    .name = "proc",
    .flags = FS_TYPE_USERNS | FS_TYPE_SHOWS,
    .mount = proc_mount,
};

struct pid *procfs_dir_pid(const struct file *f)
{
    struct pseudo_node *n = f->inode ? pseudo_node_from_inode(f->inode) : NULL;

    return n && n->entry == &g_proc_pid_entry ? n->pid : NULL;
}
