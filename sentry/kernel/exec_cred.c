/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a task is after execve: set-user-id and set-group-id bits, file capabilities, the special
 * rules for root, ambient capabilities. capabilities(7), "Transformation of capabilities during
 * execve()" and what follows it there, in that order.
 */
#include <errno.h>
#include <string.h>

#include "sentry/abi/prctl.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/kernel_internal.h"

struct file_caps {
    bool present, effective;
    uint64_t permitted, inheritable;
};

static bool file_grants_privilege(struct task *t, struct file *f)
{
    return !t->k->no_new_privs && !(mount_flags(f->path.mnt) & MOUNT_NOSUID) &&
           !(f->inode->super->flags & SUPER_NOSUID) &&
           userns_descends(t->curr.cred->userns, f->inode->super->userns);
}

/* An attribute that is damaged makes exec fail with -EINVAL, as on Linux. */
static int read_file_caps(struct task *t, struct file *f, struct file_caps *out)
{
    struct lx_vfs_cap_data data = {0};
    ssize_t size;
    uint32_t rev;

    *out = (struct file_caps){0};
    if (!f->inode->ops->getxattr || !file_grants_privilege(t, f))
        return 0;
    size = f->inode->ops->getxattr(f->inode, "security.capability", &data, sizeof(data));
    if (size < 0)
        return 0;
    if ((size_t)size < sizeof(uint32_t))
        return -EINVAL;
    rev = data.magic_etc & LX_VFS_CAP_REVISION_MASK;
    if (!(rev == LX_VFS_CAP_REVISION_1 && size == 12) &&
        !(rev == LX_VFS_CAP_REVISION_2 && size == 20) &&
        !(rev == LX_VFS_CAP_REVISION_3 && size == 24))
        return -EINVAL;
    if (rev == LX_VFS_CAP_REVISION_1)
        memset(&data.data[1], 0, sizeof(data.data[1]));
    /* Revision 3 belongs to the user namespace whose root is rootid. */
    if (rev == LX_VFS_CAP_REVISION_3 && userns_to_kuid(t->curr.cred->userns, 0) != data.rootid)
        return 0;
    out->present = true;
    out->effective = data.magic_etc & LX_VFS_CAP_FLAGS_EFFECTIVE;
    out->permitted = (data.data[0].permitted | (uint64_t)data.data[1].permitted << 32) & LX_CAP_ALL;
    out->inheritable =
        (data.data[0].inheritable | (uint64_t)data.data[1].inheritable << 32) & LX_CAP_ALL;
    return 0;
}

static void apply_setid(struct task *t, struct file *f, struct cred *c, struct exec_cred *out)
{
    uint32_t mode = f->inode->attr.mode;

    if (!(mode & (LX_S_ISUID | LX_S_ISGID)) || !file_grants_privilege(t, f))
        return;
    /* An owner that the namespace cannot name gives nothing away. */
    if (userns_from_kuid(c->userns, f->inode->attr.uid) == 65534 &&
        userns_to_kuid(c->userns, 65534) != f->inode->attr.uid)
        return;
    if (mode & LX_S_ISUID) {
        c->euid = f->inode->attr.uid;
        out->clear_personality = true;
    }
    if ((mode & (LX_S_ISGID | LX_S_IXGRP)) == (LX_S_ISGID | LX_S_IXGRP)) {
        c->egid = f->inode->attr.gid;
        out->clear_personality = true;
    }
}

static int apply_caps(struct task *t, struct cred *c, const struct file_caps *fc, bool *effective)
{
    const struct cred *old = t->curr.cred;
    lx_uid_t root = userns_to_kuid(c->userns, 0);

    *effective = false;
    c->cap_permitted = 0;
    if (fc->present) {
        c->cap_permitted =
            (fc->permitted & c->cap_bounding) | (fc->inheritable & c->cap_inheritable);
        *effective = fc->effective;
        if (fc->effective && (fc->permitted & ~c->cap_permitted))
            return -EPERM;
    }
    if (!(c->securebits & LX_SECBIT_NOROOT) &&
        !(fc->present && c->ruid != root && c->euid == root)) {
        if (c->euid == root || c->ruid == root)
            c->cap_permitted = c->cap_bounding | old->cap_inheritable;
        if (c->euid == root)
            *effective = true;
    }
    return 0;
}

int exec_cred_compute(struct task *t, struct file *program, struct exec_cred *out)
{
    const struct cred *old = t->curr.cred;
    bool effective, setid;
    struct file_caps fc;
    struct cred *c;
    int ret;

    *out = (struct exec_cred){0};
    ret = cred_copy(old, &c);
    if (ret < 0)
        return ret;
    apply_setid(t, program, c, out);
    ret = read_file_caps(t, program, &fc);
    if (ret == 0)
        ret = apply_caps(t, c, &fc, &effective);
    if (ret < 0) {
        cred_put(c);
        return ret;
    }
    setid = c->euid != old->ruid || c->egid != old->rgid;
    if ((setid || (c->cap_permitted & ~old->cap_permitted)) &&
        (t->k->no_new_privs || !ptrace_exec_privilege_ok(t, c->userns))) {
        /* Nothing is gained under no_new_privs or a tracer that could not take it itself. */
        if (t->k->no_new_privs || !cred_ns_capable(old, c->userns, LX_CAP_SETUID)) {
            c->euid = old->euid;
            c->egid = old->egid;
        }
        c->cap_permitted &= old->cap_permitted;
    }
    c->suid = c->fsuid = c->euid;
    c->sgid = c->fsgid = c->egid;
    if (fc.present || setid)
        c->cap_ambient = 0;
    c->cap_permitted |= c->cap_ambient;
    c->cap_effective = effective ? c->cap_permitted : c->cap_ambient;
    c->securebits &= ~LX_SECBIT_KEEP_CAPS;
    out->secure = setid || (c->ruid != userns_to_kuid(c->userns, 0) &&
                            (effective || (c->cap_permitted & ~c->cap_ambient)));
    out->cred = c;
    return 0;
}
