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

    if (!n->pid)
        (void)proc_sys_net_root(n, &n->inode.attr.uid, &n->inode.attr.gid); /* else they stay */
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

    if (!n->pid)
        return proc_sys_net_grants(n);
    if (n->entry->dir != &g_proc_fd_dir || !me || proc_task_get(n, &t) < 0)
        return false;
    own = t->tg == me->tg;
    task_put(t);
    return own;
}

/* ---- mount options -------------------------------------------------------------------------- */

enum proc_hidepid { HIDEPID_OFF, HIDEPID_NO_ACCESS, HIDEPID_INVISIBLE, HIDEPID_PTRACEABLE = 4 };

static const char *hidepid_name(int value)
{
    switch (value) {
    case HIDEPID_NO_ACCESS:
        return "noaccess";
    case HIDEPID_INVISIBLE:
        return "invisible";
    case HIDEPID_PTRACEABLE:
        return "ptraceable";
    default:
        return "off";
    }
}

/* Does the caller see t, where hidepid hides from least on? Linux's has_pid_permissions. */
static bool sees(struct pseudo_super *ps, struct task *t, int least)
{
    int hide = ps->hidepid;

    if (hide < least)
        return true;
    if (hide != HIDEPID_PTRACEABLE && cred_in_group(curr()->cred, ps->hidepid_gid))
        return true;
    return task_ptrace_may_access(t, LX_PTRACE_MODE_READ | LX_PTRACE_MODE_FSCREDS) == 0;
}

static bool sees_node(struct pseudo_node *n, int least)
{
    struct pseudo_super *ps = pseudo_super_of(n);
    struct task *t;
    bool ok;

    if (!ps->hidepid || !n->pid || proc_task_get(n, &t) < 0)
        return true;
    ok = sees(ps, t, least);
    task_put(t);
    return ok;
}

static int proc_enter(struct pseudo_node *n)
{
    if (n->entry != &g_proc_pid_entry || sees_node(n, HIDEPID_NO_ACCESS))
        return 0;
    return pseudo_super_of(n)->hidepid == HIDEPID_INVISIBLE ? -ENOENT : -EPERM;
}

static bool proc_shown(struct pseudo_node *n)
{
    return sees_node(n, HIDEPID_INVISIBLE);
}

static size_t proc_show_options(struct pseudo_super *ps, char *buf, size_t size)
{
    lx_gid_t gid = ps->hidepid_gid;
    int n = 0;

    if (gid != 0)
        n = snprintf(buf, size, ",gid=%u", userns_from_kgid(curr()->cred->userns, gid));
    if (ps->hidepid)
        n += snprintf(buf + n, size - (size_t)n, ",hidepid=%s", hidepid_name(ps->hidepid));
    if (ps->pid_only)
        n += snprintf(buf + n, size - (size_t)n, ",subset=pid");
    return (size_t)n;
}

struct proc_options {
    int hidepid;
    lx_gid_t gid;
    bool pid_only;
};

static int parse_number(const char *value, uint32_t *out)
{
    char *end;
    unsigned long v = strtoul(value, &end, 0);

    if (*value < '0' || *value > '9' || *end || v > UINT32_MAX)
        return -EINVAL;
    *out = (uint32_t)v;
    return 0;
}

static int parse_hidepid(const char *value, int *out)
{
    static const int all[] = {HIDEPID_OFF, HIDEPID_NO_ACCESS, HIDEPID_INVISIBLE,
                              HIDEPID_PTRACEABLE};
    uint32_t number;
    bool is_number = parse_number(value, &number) == 0;

    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        if (is_number ? number == (uint32_t)all[i] : !strcmp(value, hidepid_name(all[i]))) {
            *out = all[i];
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_option(char *option, struct proc_options *opt)
{
    const char *key = strsep(&option, "="), *value = option;

    if (!*key)
        return 0;
    if (!value)
        return -EINVAL;
    if (!strcmp(key, "hidepid"))
        return parse_hidepid(value, &opt->hidepid);
    if (!strcmp(key, "subset")) {
        opt->pid_only = !strcmp(value, "pid");
        return opt->pid_only ? 0 : -EINVAL;
    }
    if (strcmp(key, "gid") != 0 || parse_number(value, &opt->gid) < 0)
        return -EINVAL;
    opt->gid = userns_to_kgid(curr()->cred->userns, opt->gid);
    return opt->gid == LX_ID_INVALID ? -EINVAL : 0;
}

static int parse_options(const char *options, struct proc_options *opt)
{
    char *copy = strdup(options ? options : ""), *rest = copy, *option;
    int ret = copy ? 0 : -ENOMEM;

    while (ret == 0 && (option = strsep(&rest, ",")) != NULL)
        ret = parse_option(option, opt);
    free(copy);
    return ret;
}

static int proc_remount(struct pseudo_super *ps, const char *options)
{
    struct proc_options opt = {ps->hidepid, ps->hidepid_gid, ps->pid_only};
    int ret = parse_options(options, &opt);

    if (ret < 0)
        return ret;
    if (opt.pid_only != ps->pid_only) /* the root directory was made for the one or the other */
        return -EINVAL;
    ps->hidepid = opt.hidepid;
    ps->hidepid_gid = opt.gid;
    return 0;
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
        if (pseudo_super_of(dir)->hidepid != HIDEPID_PTRACEABLE ||
            sees(pseudo_super_of(dir), t, HIDEPID_NO_ACCESS))
            ret = pseudo_node_new(dir, &g_proc_pid_entry, name, len, out);
        task_put(t);
        if (*out)
            pseudo_node_set_pid(*out, p, PID_TID);
    }
    pid_put(p);
    return ret;
}

/* Is the process p listed for the caller? Takes p over. */
static bool listed_put(struct pseudo_super *ps, struct pid *p)
{
    struct task *t = ps->hidepid ? pid_task_get(p, PID_TGID) : NULL;
    bool ok = !t || sees(ps, t, HIDEPID_INVISIBLE);

    if (t)
        task_put(t);
    pid_put(p);
    return ok;
}

static int proc_root_next(struct pseudo_node *dir, uint64_t *cookie, struct pseudo_name *out)
{
    lx_pid_t nr;
    struct pid *p;

    do {
        if (*cookie > INT32_MAX)
            return 0;
        p = pidns_next_process_get(proc_ns(dir), (lx_pid_t)*cookie, &nr);
        if (!p)
            return 0;
        *cookie = (uint64_t)nr + 1;
    } while (!listed_put(pseudo_super_of(dir), p));
    snprintf(out->name, sizeof(out->name), "%d", nr);
    out->mode = 0040555;
    return 1;
}

static const struct pseudo_dir proc_root_dir = {
    .lookup = proc_root_lookup,
    .next = proc_root_next,
};

static const struct pseudo_entry proc_root_entry = {
    .name = "/",
    .mode = 0040555,
    .children = g_proc_self_table,
    .more = g_proc_root_table,
    .dir = &proc_root_dir,
};

static const struct pseudo_entry proc_pid_only_entry = {
    .name = "/",
    .mode = 0040555,
    .children = g_proc_self_table,
    .dir = &proc_root_dir,
};

static int create(struct pidns *ns, const struct proc_options *opt, struct super **out)
{
    struct pseudo_super *ps = calloc(1, sizeof(*ps));

    if (!ps)
        return -ENOMEM;
    ps->ns = pidns_get(ns);
    ps->hidepid = opt->hidepid;
    ps->hidepid_gid = opt->gid;
    ps->pid_only = opt->pid_only;
    ps->enter = proc_enter;
    ps->shown = proc_shown;
    ps->show_options = proc_show_options;
    ps->remount = proc_remount;
    ps->magic = PROC_SUPER_MAGIC;
    ps->refresh = proc_refresh;
    ps->valid = proc_valid;
    ps->grants = proc_grants;
    ps->free_private = proc_free_private;
    return pseudo_super_setup_take(ps, "proc",
                                   opt->pid_only ? &proc_pid_only_entry : &proc_root_entry, out);
}

int procfs_create(struct pidns *ns, struct super **out)
{
    return create(ns, &(struct proc_options){0}, out);
}

static int proc_mount(const struct fs_type *type, const char *source, const char *options,
                      uint32_t super_flags, struct super **out)
{
    struct proc_options opt = {0};
    int ret = parse_options(options, &opt);

    return ret < 0 ? ret : create(curr()->pidns, &opt, out);
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
