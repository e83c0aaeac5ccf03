/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces of a task: copies for clone and unshare, joins for setns, and the uts namespace, which
 * is small enough to live here. namespaces(7).
 */
#include "sentry/kernel/namespace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/prctl.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/clone.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/task_info.h"
#include "sentry/kernel/timens.h"
#include "sentry/mm/mm.h"
#include "sentry/net/netns.h"

#define NEED_ADMIN                                                                                 \
    (LX_CLONE_NEWNS | LX_CLONE_NEWUTS | LX_CLONE_NEWIPC | LX_CLONE_NEWPID | LX_CLONE_NEWNET |      \
     LX_CLONE_NEWCGROUP | LX_CLONE_NEWTIME)

/* ---- uts ------------------------------------------------------------------------------------ */

enum { UTS_NAME_SIZE = 65 };

/* Lifetime: refcounted. Keys: I immutable; u ->lock */
struct utsns {
    struct refs refs;
    struct mutex lock;              /* rank LEAF */
    struct userns *owner;           /* I, +1 */
    uint64_t inum;                  /* I */
    char hostname[UTS_NAME_SIZE];   /* u */
    char domainname[UTS_NAME_SIZE]; /* u */
};

int utsns_new(const char *hostname, const char *domainname, struct userns *owner,
              struct utsns **out)
{
    struct utsns *ns = calloc(1, sizeof(*ns));

    if (!ns)
        return -ENOMEM;
    refs_init(&ns->refs);
    mutex_init(&ns->lock, RANK_LEAF);
    ns->owner = userns_get(owner);
    ns->inum = ns_inum_new();
    snprintf(ns->hostname, sizeof(ns->hostname), "%s", hostname);
    snprintf(ns->domainname, sizeof(ns->domainname), "%s", domainname);
    *out = ns;
    return 0;
}

struct utsns *utsns_get(struct utsns *ns)
{
    refs_get(&ns->refs);
    return ns;
}

void utsns_put(struct utsns *ns)
{
    if (!ns || !refs_put(&ns->refs))
        return;
    userns_put(ns->owner);
    mutex_destroy(&ns->lock);
    free(ns);
}

int utsns_copy(struct utsns *old, struct userns *owner, struct utsns **out)
{
    char host[65], domain[65];

    utsns_hostname(old, host);
    utsns_domainname(old, domain);
    return utsns_new(host, domain, owner, out);
}

struct userns *utsns_owner(struct utsns *ns)
{
    return ns->owner;
}

void utsns_hostname(struct utsns *ns, char *buf)
{
    mutex_lock(&ns->lock);
    memcpy(buf, ns->hostname, sizeof(ns->hostname));
    mutex_unlock(&ns->lock);
}

void utsns_domainname(struct utsns *ns, char *buf)
{
    mutex_lock(&ns->lock);
    memcpy(buf, ns->domainname, sizeof(ns->domainname));
    mutex_unlock(&ns->lock);
}

static void set_name(struct utsns *ns, char *field, const char *name)
{
    mutex_lock(&ns->lock);
    memset(field, 0, UTS_NAME_SIZE);
    snprintf(field, UTS_NAME_SIZE, "%s", name);
    mutex_unlock(&ns->lock);
}

void utsns_set_hostname(struct utsns *ns, const char *name)
{
    set_name(ns, ns->hostname, name);
}

void utsns_set_domainname(struct utsns *ns, const char *name)
{
    set_name(ns, ns->domainname, name);
}

/* ---- user ----------------------------------------------------------------------------------- */

int cred_enter_userns(const struct cred *old, struct userns *ns, struct cred **out)
{
    int ret = cred_copy(old, out);

    if (ret < 0)
        return ret;
    userns_put((*out)->userns);
    (*out)->userns = userns_get(ns);
    (*out)->cap_permitted = (*out)->cap_effective = (*out)->cap_bounding = LX_CAP_ALL;
    (*out)->cap_inheritable = (*out)->cap_ambient = 0;
    (*out)->securebits = 0;
    return 0;
}

/* ---- copies --------------------------------------------------------------------------------- */

void namespace_set_put(struct namespace_set *s)
{
    if (s->mntns)
        mntns_put(s->mntns);
    if (s->netns)
        netns_put(s->netns);
    ipcns_put(s->ipcns);
    utsns_put(s->utsns);
    cgroupns_put(s->cgroupns);
    timens_put(s->timens);
    timens_put(s->child_timens);
    memset(s, 0, sizeof(*s));
}

int namespace_set_copy(const struct curr *from, uint64_t flags, const struct cred *cred,
                       struct fs_ctx *fs, struct namespace_set *out)
{
    int ret = 0;

    *out = (struct namespace_set){0};
    if ((flags & NEED_ADMIN) && !cred_ns_capable(cred, cred->userns, LX_CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & LX_CLONE_NEWNS)
        ret = mntns_copy(from->mntns, cred->userns, fs, &out->mntns);
    else if (from->mntns)
        out->mntns = mntns_get(from->mntns);
    if (ret < 0)
        goto fail;
    if (flags & LX_CLONE_NEWUTS)
        ret = utsns_copy(from->utsns, cred->userns, &out->utsns);
    else
        out->utsns = utsns_get(from->utsns);
    if (ret < 0)
        goto fail;
    if (flags & LX_CLONE_NEWIPC)
        ret = ipcns_new(cred->userns, &out->ipcns);
    else
        out->ipcns = ipcns_get(from->ipcns);
    if (ret < 0)
        goto fail;
    if (flags & LX_CLONE_NEWNET)
        ret = netns_new(cred->userns, &out->netns);
    else if (from->netns)
        out->netns = netns_get(from->netns);
    if (ret < 0)
        goto fail;
    if (flags & LX_CLONE_NEWCGROUP) {
        struct kcgroup *cg = task_cgroup_get(from->task);

        ret = cgroupns_new(cg, cred->userns, &out->cgroupns);
        cgroup_put(cg);
    } else {
        out->cgroupns = cgroupns_get(from->cgroupns);
    }
    if (ret < 0)
        goto fail;
    out->timens = timens_get(from->timens);
    if (flags & LX_CLONE_NEWTIME)
        ret = timens_copy(from->child_timens, cred->userns, &out->child_timens);
    else
        out->child_timens = timens_get(from->child_timens);
    if (ret < 0)
        goto fail;
    return 0;
fail:
    namespace_set_put(out);
    return ret;
}

int task_enter_child_timens(struct task *t)
{
    struct curr *c = &t->curr;
    struct timens *old = c->timens;
    int ret;

    if (old == c->child_timens)
        return 0;
    ret = timens_enter(c->child_timens, c->mm);
    if (ret < 0)
        return ret;
    mutex_lock(&t->lock);
    c->timens = timens_get(c->child_timens);
    mutex_unlock(&t->lock);
    timens_put(old);
    return 0;
}

/* Swaps the calling task's namespaces for those of s (consumed). */
static void install(struct task *t, struct namespace_set *s)
{
    struct namespace_set old;

    mutex_lock(&t->lock);
    old =
        (struct namespace_set){t->curr.mntns,    t->curr.netns,  t->curr.ipcns,       t->curr.utsns,
                               t->curr.cgroupns, t->curr.timens, t->curr.child_timens};
    t->curr.mntns = s->mntns;
    t->curr.netns = s->netns;
    t->curr.ipcns = s->ipcns;
    t->curr.utsns = s->utsns;
    t->curr.cgroupns = s->cgroupns;
    t->curr.timens = s->timens;
    t->curr.child_timens = s->child_timens;
    mutex_unlock(&t->lock);
    namespace_set_put(&old);
}

/* ---- unshare -------------------------------------------------------------------------------- */

#define UNSHARE_FLAGS                                                                              \
    (LX_CLONE_THREAD | LX_CLONE_FS | LX_CLONE_NEWNS | LX_CLONE_SIGHAND | LX_CLONE_VM |             \
     LX_CLONE_FILES | LX_CLONE_SYSVSEM | LX_CLONE_NEWUTS | LX_CLONE_NEWIPC | LX_CLONE_NEWNET |     \
     LX_CLONE_NEWUSER | LX_CLONE_NEWPID | LX_CLONE_NEWCGROUP | LX_CLONE_NEWTIME)

struct unshare_parts {
    struct cred *cred; /* NULL: keep */
    struct fs_ctx *fs;
    struct fdtable *files;
    struct pidns *pidns;
    struct namespace_set ns;
};

static int unshare_prepare(struct task *t, uint64_t flags, struct unshare_parts *p)
{
    const struct cred *cred = t->curr.cred;
    struct userns *userns;
    struct pidns *pid_parent;
    int ret;

    if (flags & (LX_CLONE_FS | LX_CLONE_NEWNS | LX_CLONE_NEWUSER)) {
        ret = fs_ctx_copy(t->curr.fs, &p->fs);
        if (ret < 0)
            return ret;
    }
    if (flags & LX_CLONE_FILES) {
        ret = fdtable_copy(t->curr.files, INT32_MAX, &p->files);
        if (ret < 0)
            return ret;
    }
    if (flags & LX_CLONE_NEWUSER) {
        ret = userns_new(cred, &userns);
        if (ret < 0)
            return ret;
        ret = cred_enter_userns(cred, userns, &p->cred);
        userns_put(userns);
        if (ret < 0)
            return ret;
        cred = p->cred;
    }
    ret = namespace_set_copy(&t->curr, flags, cred, p->fs, &p->ns);
    if (ret < 0)
        return ret;
    if (flags & LX_CLONE_NEWPID) {
        pid_parent = t->k->child_pidns ? t->k->child_pidns : t->curr.pidns;
        ret = pidns_new(pid_parent, cred->userns, &p->pidns);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static void unshare_discard(struct unshare_parts *p)
{
    cred_put(p->cred);
    if (p->fs)
        fs_ctx_put(p->fs);
    if (p->files)
        fdtable_put(p->files);
    if (p->pidns)
        pidns_put(p->pidns);
    namespace_set_put(&p->ns);
}

long task_unshare(struct task *t, uint64_t flags)
{
    struct unshare_parts p = {0};
    struct fs_ctx *old_fs = NULL;
    struct fdtable *old_files = NULL;
    struct pidns *old_pidns;
    int ret;

    if (flags & LX_CLONE_NEWUSER)
        flags |= LX_CLONE_THREAD | LX_CLONE_FS;
    if (flags & LX_CLONE_VM)
        flags |= LX_CLONE_SIGHAND;
    if (flags & LX_CLONE_SIGHAND)
        flags |= LX_CLONE_THREAD;
    if (flags & LX_CLONE_NEWNS)
        flags |= LX_CLONE_FS;
    if (flags & ~UNSHARE_FLAGS)
        return -EINVAL;
    if ((flags & (LX_CLONE_THREAD | LX_CLONE_SIGHAND | LX_CLONE_VM)) && t->tg->thread_count > 1)
        return -EINVAL;
    ret = unshare_prepare(t, flags, &p);
    if (ret < 0) {
        unshare_discard(&p);
        return ret;
    }
    mutex_lock(&t->lock);
    if (p.fs) {
        old_fs = t->curr.fs;
        t->curr.fs = p.fs;
    }
    if (p.files) {
        old_files = t->curr.files;
        t->curr.files = p.files;
    }
    mutex_unlock(&t->lock);
    install(t, &p.ns);
    if (p.pidns) {
        old_pidns = t->k->child_pidns;
        t->k->child_pidns = p.pidns;
        if (old_pidns)
            pidns_put(old_pidns);
    }
    if (p.cred)
        task_commit_cred_take(t, p.cred);
    if (old_fs)
        fs_ctx_put(old_fs);
    if (old_files)
        fdtable_put(old_files);
    return 0;
}

/* ---- setns ---------------------------------------------------------------------------------- */

#define SETNS_FLAGS                                                                                \
    (LX_CLONE_NEWNS | LX_CLONE_NEWUTS | LX_CLONE_NEWIPC | LX_CLONE_NEWNET | LX_CLONE_NEWUSER |     \
     LX_CLONE_NEWPID | LX_CLONE_NEWCGROUP | LX_CLONE_NEWTIME)

static int enter_mount_namespace(struct task *t, struct mntns *ns)
{
    struct fs_ctx *fs, *old;
    struct path root;
    int ret;

    mntns_root(ns, &root);
    ret = fs_ctx_new(&root, &root, fs_ctx_umask(t->curr.fs), &fs);
    path_put(&root);
    if (ret < 0)
        return ret;
    mutex_lock(&t->lock);
    old = t->curr.fs;
    t->curr.fs = fs;
    mutex_unlock(&t->lock);
    fs_ctx_put(old);
    return 0;
}

static int join(struct task *t, struct task *target, uint64_t flags, struct namespace_set *s)
{
    const struct cred *cred = t->curr.cred;
    int ret = 0;

    mutex_lock(&target->lock);
    if (!target->curr.utsns)
        ret = -ESRCH;
    else if (!cred_ns_capable(cred, target->curr.cred->userns, LX_CAP_SYS_ADMIN))
        ret = -EPERM;
    if (ret == 0) {
        const struct curr *c = &target->curr, *own = &t->curr;

        s->mntns = mntns_get(flags & LX_CLONE_NEWNS ? c->mntns : own->mntns);
        s->utsns = utsns_get(flags & LX_CLONE_NEWUTS ? c->utsns : own->utsns);
        s->ipcns = ipcns_get(flags & LX_CLONE_NEWIPC ? c->ipcns : own->ipcns);
        s->cgroupns = cgroupns_get(flags & LX_CLONE_NEWCGROUP ? c->cgroupns : own->cgroupns);
        s->timens = timens_get(flags & LX_CLONE_NEWTIME ? c->timens : own->timens);
        s->child_timens = timens_get(flags & LX_CLONE_NEWTIME ? c->timens : own->child_timens);
        s->netns = flags & LX_CLONE_NEWNET ? c->netns : own->netns;
        if (s->netns)
            netns_get(s->netns);
    }
    mutex_unlock(&target->lock);
    return ret;
}

/* The clocks of the calling task's memory: only for one that has it alone. */
static int enter_time_namespace(struct task *t, struct timens *ns)
{
    if (t->tg->thread_count > 1 || mm_is_shared(t->curr.mm))
        return -EUSERS;
    if (!cred_ns_capable(t->curr.cred, timens_owner(ns), LX_CAP_SYS_ADMIN))
        return -EPERM;
    return timens_enter(ns, t->curr.mm);
}

long task_setns_pid(struct task *t, struct pid *target_pid, uint64_t flags)
{
    struct task *target = pid_task_get(target_pid, PID_TGID);
    struct namespace_set s = {0};
    struct cred *theirs = NULL, *cred = NULL;
    struct pidns *old;
    int ret = -ESRCH;

    if (!target)
        return -ESRCH;
    if (!flags || (flags & ~SETNS_FLAGS)) {
        ret = -EINVAL;
        goto out;
    }
    ret = join(t, target, flags, &s);
    if (ret < 0)
        goto out;
    if (flags & LX_CLONE_NEWUSER) {
        theirs = task_cred_get(target);
        ret = -EINVAL;
        if (!theirs || theirs->userns == t->curr.cred->userns || t->tg->thread_count > 1)
            goto out;
        ret = cred_enter_userns(t->curr.cred, theirs->userns, &cred);
        if (ret < 0)
            goto out;
    }
    if (flags & LX_CLONE_NEWTIME) {
        ret = enter_time_namespace(t, s.timens);
        if (ret < 0)
            goto out;
    }
    if (flags & LX_CLONE_NEWNS) {
        ret = enter_mount_namespace(t, s.mntns);
        if (ret < 0)
            goto out;
    }
    if (flags & LX_CLONE_NEWPID) {
        old = t->k->child_pidns;
        t->k->child_pidns = pidns_get(target->curr.pidns);
        if (old)
            pidns_put(old);
    }
    install(t, &s);
    memset(&s, 0, sizeof(s));
    if (cred)
        task_commit_cred_take(t, cred);
    cred = NULL;
    ret = 0;
out:
    namespace_set_put(&s);
    cred_put(theirs);
    cred_put(cred);
    task_put(target);
    return ret;
}

void task_namespace_hold(struct task *t, uint64_t flag, bool of_children, struct namespace_set *out,
                         struct userns **out_owner)
{
    const struct curr *c = &t->curr;

    memset(out, 0, sizeof(*out));
    mutex_lock(&t->lock);
    if (flag == LX_CLONE_NEWNS && c->mntns)
        out->mntns = mntns_get(c->mntns);
    else if (flag == LX_CLONE_NEWUTS && c->utsns)
        out->utsns = utsns_get(c->utsns);
    else if (flag == LX_CLONE_NEWIPC && c->ipcns)
        out->ipcns = ipcns_get(c->ipcns);
    else if (flag == LX_CLONE_NEWNET && c->netns)
        out->netns = netns_get(c->netns);
    else if (flag == LX_CLONE_NEWCGROUP && c->cgroupns)
        out->cgroupns = cgroupns_get(c->cgroupns);
    else if (flag == LX_CLONE_NEWTIME)
        out->timens = timens_get(of_children ? c->child_timens : c->timens);
    *out_owner = userns_get(c->cred->userns);
    mutex_unlock(&t->lock);
}

long task_setns_held(struct task *t, const struct namespace_set *held, const struct userns *owner)
{
    const struct curr *own = &t->curr;
    struct namespace_set s;
    int ret = 0;

    if (held->timens)
        ret = enter_time_namespace(t, held->timens);
    if (ret < 0)
        return ret;
    if (!cred_ns_capable(own->cred, owner, LX_CAP_SYS_ADMIN))
        return -EPERM;
    if (held->mntns)
        ret = enter_mount_namespace(t, held->mntns);
    if (ret < 0)
        return ret;
    s.mntns = mntns_get(held->mntns ? held->mntns : own->mntns);
    s.utsns = utsns_get(held->utsns ? held->utsns : own->utsns);
    s.ipcns = ipcns_get(held->ipcns ? held->ipcns : own->ipcns);
    s.cgroupns = cgroupns_get(held->cgroupns ? held->cgroupns : own->cgroupns);
    s.timens = timens_get(held->timens ? held->timens : own->timens);
    s.child_timens = timens_get(held->timens ? held->timens : own->child_timens);
    s.netns = held->netns ? held->netns : own->netns;
    if (s.netns)
        netns_get(s.netns);
    install(t, &s);
    return 0;
}

struct timens *task_child_timens_get(struct task *t)
{
    struct timens *ns;

    mutex_lock(&t->lock);
    ns = timens_get(t->curr.child_timens);
    mutex_unlock(&t->lock);
    return ns;
}

uint64_t task_ns_inum(struct task *t, const char *name)
{
    uint64_t inum = 0;

    mutex_lock(&t->lock);
    if (!strcmp(name, "user"))
        inum = t->curr.cred->userns->inum;
    else if (!strcmp(name, "pid"))
        inum = t->curr.pidns->inum;
    else if (!strcmp(name, "pid_for_children"))
        inum = t->k->child_pidns ? t->k->child_pidns->inum : t->curr.pidns->inum;
    else if (!strcmp(name, "uts"))
        inum = t->curr.utsns ? t->curr.utsns->inum : 0;
    else if (!strcmp(name, "ipc"))
        inum = t->curr.ipcns ? ipcns_inum(t->curr.ipcns) : 0;
    else if (!strcmp(name, "cgroup"))
        inum = t->curr.cgroupns ? cgroupns_inum(t->curr.cgroupns) : 0;
    else if (!strcmp(name, "net") && t->curr.netns)
        inum = netns_inum(t->curr.netns);
    else if (!strcmp(name, "time") && t->curr.timens)
        inum = timens_inum(t->curr.timens);
    else if (!strcmp(name, "time_for_children") && t->curr.child_timens)
        inum = timens_inum(t->curr.child_timens);
    else if (!strcmp(name, "mnt") && t->curr.mntns)
        inum = 0x200000000u | ((uintptr_t)t->curr.mntns >> 6 & 0xffffffu);
    mutex_unlock(&t->lock);
    return inum;
}
