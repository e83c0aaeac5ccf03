/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespace files. An inode remembers the task it was reached through and the namespace's number.
 * Mount, uts, ipc, net, cgroup and time namespaces are held; for the other kinds who uses the file asks that task
 * again. DEVIATION: a pid or user namespace whose last task ended, or that its task left, cannot be
 * entered through a file that is still open.
 */
#include "sentry/proc/nsfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/ioctl.h"
#include "sentry/abi/sched.h"
#include "sentry/core/userns.h"
#include "sentry/kernel/clone.h"
#include "sentry/kernel/namespace.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/uaccess.h"

/* Lifetime: the inode's. Keys: I immutable */
struct ns_inode {
    struct inode inode;
    struct pid *pid;           /* I, +1; NULL: known by number alone */
    enum pid_kind kind;        /* I */
    const char *name;          /* I, static */
    struct namespace_set held; /* I */
    struct userns *owner;      /* I, +1 */
};

static const struct {
    const char *name;
    uint64_t flag;
} ns_kinds[] = {
    {"mnt", LX_CLONE_NEWNS},        {"pid", LX_CLONE_NEWPID},   {"net", LX_CLONE_NEWNET},
    {"uts", LX_CLONE_NEWUTS},       {"ipc", LX_CLONE_NEWIPC},   {"user", LX_CLONE_NEWUSER},
    {"cgroup", LX_CLONE_NEWCGROUP}, {"time", LX_CLONE_NEWTIME},
};

/* What name, as that of a file in /proc/PID/ns, says of the kind: "pid" of "pid_for_children". */
static int kind_length(const char *name)
{
    const char *end = strchr(name, '_');

    return (int)(end ? (size_t)(end - name) : strlen(name));
}

/* 0: none that setns knows. */
static uint64_t ns_flag(const char *name)
{
    size_t length = (size_t)kind_length(name);

    for (size_t i = 0; i < ARRAY_COUNT(ns_kinds); i++) {
        if (strlen(ns_kinds[i].name) == length && !strncmp(ns_kinds[i].name, name, length))
            return ns_kinds[i].flag;
    }
    return 0;
}

static const struct file_ops ns_file_ops;
static const struct inode_ops ns_inode_ops;

static void ns_file_release(struct file *f)
{
    file_destroy_generic(f);
    free(f);
}

static struct ns_inode *ns_inode_new(const char *name, uint64_t inum)
{
    struct ns_inode *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    inode_init(&n->inode, vfs_anon_super(ANON_NSFS), &ns_inode_ops, 0100444);
    n->inode.attr.mode = 0100444;
    n->inode.attr.nlink = 1;
    n->inode.attr.ino = inum;
    inode_touch(&n->inode, /*atime=*/true, /*mtime=*/true, /*ctime=*/true);
    n->name = name;
    return n;
}

/* The open file of n, which it consumes. */
static int ns_file_new(struct ns_inode *n, struct file **out)
{
    struct file *f = calloc(1, sizeof(*f));
    char text[64];
    int ret;

    if (!f) {
        inode_put(&n->inode);
        return -ENOMEM;
    }
    snprintf(text, sizeof(text), "%.*s:[%llu]", kind_length(n->name), n->name,
             (unsigned long long)n->inode.attr.ino);
    file_init(f, &ns_file_ops, 0);
    ret = file_set_anon(f, text, 0, &n->inode);
    if (ret < 0)
        file_put(f);
    else
        *out = f;
    return ret;
}

/* ---- ioctl_ns(2) ----------------------------------------------------------------------------- */

/* A descriptor for a namespace that is known by its number alone: it can be compared and asked, but
 * not entered. */
static long ns_number_fd(const char *name, uint64_t inum, struct userns *owner)
{
    struct ns_inode *n = ns_inode_new(name, inum);
    struct file *f;
    int ret;

    if (!n)
        return -ENOMEM;
    n->owner = userns_get(owner);
    ret = ns_file_new(n, &f);
    if (ret < 0)
        return ret;
    ret = fdtable_install_take(curr()->files, f, 0, /*cloexec=*/true);
    if (ret < 0)
        file_put(f);
    return ret;
}

/* For "user" files, n->owner is the namespace itself. */
static long ns_get_userns(const struct ns_inode *n)
{
    struct userns *u = n->owner;

    if (u && !strcmp(n->name, "user"))
        u = u->parent;
    if (!u || !userns_descends(u, curr()->cred->userns))
        return -EPERM;
    return ns_number_fd("user", u->inum, u);
}

static long ns_get_parent(const struct ns_inode *n)
{
    struct pidns *parent;
    struct task *t;
    long ret = -EPERM;

    if (!strcmp(n->name, "user"))
        return ns_get_userns(n);
    if (strcmp(n->name, "pid") != 0)
        return -EINVAL;
    t = pid_task_get(n->pid, n->kind);
    if (!t)
        return -EPERM;
    /* The caller's own namespace is the highest it may know of. */
    parent = t->curr.pidns->parent;
    if (parent && parent->level >= curr()->pidns->level)
        ret = ns_number_fd("pid", parent->inum, parent->userns);
    task_put(t);
    return ret;
}

static long ns_get_owner_uid(const struct ns_inode *n, uaddr_t arg)
{
    uint32_t uid;

    if (strcmp(n->name, "user") != 0 || !n->owner)
        return -EINVAL;
    uid = userns_from_kuid(curr()->cred->userns, n->owner->owner_uid);
    return put_user(&uid, arg);
}

static long ns_ioctl(struct file *f, uint32_t cmd, uaddr_t arg)
{
    const struct ns_inode *n = container_of(f->inode, struct ns_inode, inode);

    switch (cmd) {
    case LX_NS_GET_USERNS:
        return ns_get_userns(n);
    case LX_NS_GET_PARENT:
        return ns_get_parent(n);
    case LX_NS_GET_NSTYPE:
        return (long)ns_flag(n->name);
    case LX_NS_GET_OWNER_UID:
        return ns_get_owner_uid(n, arg);
    default:
        return -ENOTTY;
    }
}

static const struct file_ops ns_file_ops = {.ioctl = ns_ioctl, .release = ns_file_release};

static int ns_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return -ENOMEM;
    file_init(*out, &ns_file_ops, flags);
    return 0;
}

static void ns_destroy(struct inode *inode)
{
    struct ns_inode *n = container_of(inode, struct ns_inode, inode);

    pid_put(n->pid);
    namespace_set_put(&n->held);
    if (n->owner)
        userns_put(n->owner);
    inode_destroy_generic(inode);
    free(n);
}

static const struct inode_ops ns_inode_ops = {.open = ns_open, .destroy = ns_destroy};

static uint64_t ns_number(struct pid *p, enum pid_kind kind, const char *name)
{
    struct task *t = p ? pid_task_get(p, kind) : NULL;
    uint64_t inum = t ? task_ns_inum(t, name) : 0;

    if (t)
        task_put(t);
    return inum;
}

int nsfs_path(struct pid *p, enum pid_kind kind, const char *name, struct path *out)
{
    uint64_t inum = ns_number(p, kind, name);
    struct ns_inode *n;
    struct task *t;
    struct file *f;
    int ret;

    if (!inum)
        return -ENOENT;
    n = ns_inode_new(name, inum);
    if (!n)
        return -ENOMEM;
    n->pid = pid_get(p);
    n->kind = kind;
    t = pid_task_get(p, kind);
    if (t) {
        task_namespace_hold(t, ns_flag(name), strchr(name, '_') != NULL, &n->held, &n->owner);
        task_put(t);
    }
    /* A file is the way to a path on the hidden mount; only its path is kept. */
    ret = ns_file_new(n, &f);
    if (ret < 0)
        return ret;
    *out = f->path;
    path_get(out);
    file_put(f);
    return 0;
}

bool nsfs_from_file(struct file *f, struct pid **out_pid, const char **out_name)
{
    struct ns_inode *n;

    if (!f->inode || f->inode->ops != &ns_inode_ops)
        return false;
    n = container_of(f->inode, struct ns_inode, inode);
    if (ns_number(n->pid, n->kind, n->name) != n->inode.attr.ino)
        return false;
    *out_pid = n->pid;
    *out_name = n->name;
    return true;
}

long nsfs_setns(struct task *t, struct file *f, uint32_t flags)
{
    const struct ns_inode *n;
    struct pid *pid;
    const char *name;
    uint64_t flag;

    if (!f->inode || f->inode->ops != &ns_inode_ops)
        return -EINVAL;
    n = container_of(f->inode, struct ns_inode, inode);
    flag = ns_flag(n->name);
    if (!flag || (flags && flags != flag))
        return -EINVAL;
    if (n->held.mntns || n->held.utsns || n->held.ipcns || n->held.netns || n->held.cgroupns ||
        n->held.timens)
        return task_setns_held(t, &n->held, n->owner);
    if (!nsfs_from_file(f, &pid, &name))
        return -EINVAL;
    return task_setns_pid(t, pid, flag);
}
