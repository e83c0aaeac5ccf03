/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User and group ids, supplementary groups, capabilities. credentials(7), capabilities(7). Ids
 * cross the border through the caller's user namespace; capabilities follow uid changes unless
 * SECBIT_ NO_SETUID_FIXUP says otherwise.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/abi/prctl.h"
#include "sentry/core/userns.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/uaccess.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

enum { NGROUPS_MAX_ = 65536 };

/* ---- reading -------------------------------------------------------------------------------- */

long sys_getuid(struct task *t)
{
    return userns_from_kuid(t->curr.cred->userns, t->curr.cred->ruid);
}

long sys_geteuid(struct task *t)
{
    return userns_from_kuid(t->curr.cred->userns, t->curr.cred->euid);
}

long sys_getgid(struct task *t)
{
    return userns_from_kgid(t->curr.cred->userns, t->curr.cred->rgid);
}

long sys_getegid(struct task *t)
{
    return userns_from_kgid(t->curr.cred->userns, t->curr.cred->egid);
}

static long put_three(uaddr_t to[3], const uint32_t v[3])
{
    for (int i = 0; i < 3; i++)
        if (put_user(&v[i], to[i]) < 0)
            return -EFAULT;
    return 0;
}

long sys_getresuid(struct task *t, uaddr_t ruid, uaddr_t euid, uaddr_t suid)
{
    const struct cred *c = t->curr.cred;
    uint32_t v[3] = {userns_from_kuid(c->userns, c->ruid), userns_from_kuid(c->userns, c->euid),
                     userns_from_kuid(c->userns, c->suid)};

    return put_three((uaddr_t[]){ruid, euid, suid}, v);
}

long sys_getresgid(struct task *t, uaddr_t rgid, uaddr_t egid, uaddr_t sgid)
{
    const struct cred *c = t->curr.cred;
    uint32_t v[3] = {userns_from_kgid(c->userns, c->rgid), userns_from_kgid(c->userns, c->egid),
                     userns_from_kgid(c->userns, c->sgid)};

    return put_three((uaddr_t[]){rgid, egid, sgid}, v);
}

long sys_getgroups(struct task *t, int gidsetsize, uaddr_t grouplist)
{
    const struct cred *c = t->curr.cred;

    if (gidsetsize < 0)
        return -EINVAL;
    if (!gidsetsize)
        return (long)c->group_count;
    if ((size_t)gidsetsize < c->group_count)
        return -EINVAL;
    for (size_t i = 0; i < c->group_count; i++) {
        lx_gid_t gid = userns_from_kgid(c->userns, c->groups[i]);

        if (put_user(&gid, grouplist + i * sizeof(gid)) < 0)
            return -EFAULT;
    }
    return (long)c->group_count;
}

/* ---- changing uids -------------------------------------------------------------------------- */

static bool may(const struct cred *c, int cap)
{
    return cred_ns_capable(c, c->userns, cap);
}

/* What a change of uids does to capabilities: capabilities(7), "Effect of user ID changes". */
static void fix_caps(const struct cred *old, struct cred *c)
{
    lx_uid_t root = userns_to_kuid(c->userns, 0);
    bool was_root = old->ruid == root || old->euid == root || old->suid == root;
    bool is_root = c->ruid == root || c->euid == root || c->suid == root;

    if (c->securebits & LX_SECBIT_NO_SETUID_FIXUP)
        return;
    if (was_root && !is_root) {
        if (!(c->securebits & LX_SECBIT_KEEP_CAPS)) {
            c->cap_permitted = 0;
            c->cap_effective = 0;
        }
        c->cap_ambient = 0;
    }
    if (old->euid == root && c->euid != root)
        c->cap_effective = 0;
    if (old->euid != root && c->euid == root)
        c->cap_effective = c->cap_permitted;
}

static long commit_uids(struct task *t, lx_uid_t ruid, lx_uid_t euid, lx_uid_t suid)
{
    struct cred *c;
    int ret = cred_copy(t->curr.cred, &c);

    if (ret < 0)
        return ret;
    c->ruid = ruid;
    c->euid = euid;
    c->suid = suid;
    c->fsuid = euid;
    fix_caps(t->curr.cred, c);
    task_commit_cred_take(t, c);
    return 0;
}

static long commit_gids(struct task *t, lx_gid_t rgid, lx_gid_t egid, lx_gid_t sgid)
{
    struct cred *c;
    int ret = cred_copy(t->curr.cred, &c);

    if (ret < 0)
        return ret;
    c->rgid = rgid;
    c->egid = egid;
    c->sgid = sgid;
    c->fsgid = egid;
    task_commit_cred_take(t, c);
    return 0;
}

#define KEEP 0xffffffffu

/* An id argument: -1 keeps old, unmapped ids are -EINVAL. */
static int id_in(const struct cred *c, bool gid, uint32_t raw, uint32_t old, uint32_t *out)
{
    *out = old;
    if (raw == KEEP)
        return 0;
    *out = gid ? userns_to_kgid(c->userns, raw) : userns_to_kuid(c->userns, raw);
    return *out == LX_ID_INVALID ? -EINVAL : 0;
}

long sys_setuid(struct task *t, uint32_t uid)
{
    const struct cred *c = t->curr.cred;
    lx_uid_t kuid = userns_to_kuid(c->userns, uid);

    if (kuid == LX_ID_INVALID)
        return -EINVAL;
    if (may(c, LX_CAP_SETUID))
        return commit_uids(t, kuid, kuid, kuid);
    if (kuid != c->ruid && kuid != c->suid)
        return -EPERM;
    return commit_uids(t, c->ruid, kuid, c->suid);
}

long sys_setgid(struct task *t, uint32_t gid)
{
    const struct cred *c = t->curr.cred;
    lx_gid_t kgid = userns_to_kgid(c->userns, gid);

    if (kgid == LX_ID_INVALID)
        return -EINVAL;
    if (may(c, LX_CAP_SETGID))
        return commit_gids(t, kgid, kgid, kgid);
    if (kgid != c->rgid && kgid != c->sgid)
        return -EPERM;
    return commit_gids(t, c->rgid, kgid, c->sgid);
}

long sys_setreuid(struct task *t, uint32_t ruid, uint32_t euid)
{
    const struct cred *c = t->curr.cred;
    lx_uid_t r, e;

    if (id_in(c, false, ruid, c->ruid, &r) < 0 || id_in(c, false, euid, c->euid, &e) < 0)
        return -EINVAL;
    if (!may(c, LX_CAP_SETUID)) {
        if (ruid != KEEP && r != c->ruid && r != c->euid)
            return -EPERM;
        if (euid != KEEP && e != c->ruid && e != c->euid && e != c->suid)
            return -EPERM;
    }
    return commit_uids(t, r, e, ruid != KEEP || (euid != KEEP && e != c->ruid) ? e : c->suid);
}

long sys_setregid(struct task *t, uint32_t rgid, uint32_t egid)
{
    const struct cred *c = t->curr.cred;
    lx_gid_t r, e;

    if (id_in(c, true, rgid, c->rgid, &r) < 0 || id_in(c, true, egid, c->egid, &e) < 0)
        return -EINVAL;
    if (!may(c, LX_CAP_SETGID)) {
        if (rgid != KEEP && r != c->rgid && r != c->egid)
            return -EPERM;
        if (egid != KEEP && e != c->rgid && e != c->egid && e != c->sgid)
            return -EPERM;
    }
    return commit_gids(t, r, e, rgid != KEEP || (egid != KEEP && e != c->rgid) ? e : c->sgid);
}

long sys_setresuid(struct task *t, uint32_t ruid, uint32_t euid, uint32_t suid)
{
    const struct cred *c = t->curr.cred;
    lx_uid_t v[3];

    if (id_in(c, false, ruid, c->ruid, &v[0]) < 0 || id_in(c, false, euid, c->euid, &v[1]) < 0 ||
        id_in(c, false, suid, c->suid, &v[2]) < 0)
        return -EINVAL;
    for (int i = 0; i < 3; i++)
        if (v[i] != c->ruid && v[i] != c->euid && v[i] != c->suid && !may(c, LX_CAP_SETUID))
            return -EPERM;
    return commit_uids(t, v[0], v[1], v[2]);
}

long sys_setresgid(struct task *t, uint32_t rgid, uint32_t egid, uint32_t sgid)
{
    const struct cred *c = t->curr.cred;
    lx_gid_t v[3];

    if (id_in(c, true, rgid, c->rgid, &v[0]) < 0 || id_in(c, true, egid, c->egid, &v[1]) < 0 ||
        id_in(c, true, sgid, c->sgid, &v[2]) < 0)
        return -EINVAL;
    for (int i = 0; i < 3; i++)
        if (v[i] != c->rgid && v[i] != c->egid && v[i] != c->sgid && !may(c, LX_CAP_SETGID))
            return -EPERM;
    return commit_gids(t, v[0], v[1], v[2]);
}

/* Capabilities that only concern file access follow the fsuid. */
#define FS_CAPS                                                                                    \
    (LX_CAP_BIT(LX_CAP_CHOWN) | LX_CAP_BIT(LX_CAP_MKNOD) | LX_CAP_BIT(LX_CAP_DAC_OVERRIDE) |       \
     LX_CAP_BIT(LX_CAP_DAC_READ_SEARCH) | LX_CAP_BIT(LX_CAP_FOWNER) | LX_CAP_BIT(LX_CAP_FSETID) |  \
     LX_CAP_BIT(LX_CAP_LINUX_IMMUTABLE) | LX_CAP_BIT(LX_CAP_MAC_OVERRIDE))

/* Linux: never fails, always returns the old value. */
long sys_setfsuid(struct task *t, uint32_t uid)
{
    const struct cred *old = t->curr.cred;
    lx_uid_t kuid = userns_to_kuid(old->userns, uid), root = userns_to_kuid(old->userns, 0);
    long ret = userns_from_kuid(old->userns, old->fsuid);
    struct cred *c;

    if (kuid == LX_ID_INVALID || kuid == old->fsuid ||
        (kuid != old->ruid && kuid != old->euid && kuid != old->suid && !may(old, LX_CAP_SETUID)) ||
        cred_copy(old, &c) < 0)
        return ret;
    c->fsuid = kuid;
    if (!(c->securebits & LX_SECBIT_NO_SETUID_FIXUP)) {
        if (old->fsuid == root && kuid != root)
            c->cap_effective &= ~FS_CAPS;
        if (old->fsuid != root && kuid == root)
            c->cap_effective |= c->cap_permitted & FS_CAPS;
    }
    task_commit_cred_take(t, c);
    return ret;
}

long sys_setfsgid(struct task *t, uint32_t gid)
{
    const struct cred *old = t->curr.cred;
    lx_gid_t kgid = userns_to_kgid(old->userns, gid);
    long ret = userns_from_kgid(old->userns, old->fsgid);
    struct cred *c;

    if (kgid == LX_ID_INVALID || kgid == old->fsgid ||
        (kgid != old->rgid && kgid != old->egid && kgid != old->sgid && !may(old, LX_CAP_SETGID)) ||
        cred_copy(old, &c) < 0)
        return ret;
    c->fsgid = kgid;
    task_commit_cred_take(t, c);
    return ret;
}

long sys_setgroups(struct task *t, int gidsetsize, uaddr_t grouplist)
{
    const struct cred *old = t->curr.cred;
    lx_gid_t *groups = NULL;
    struct cred *c;
    long ret;

    if (!may(old, LX_CAP_SETGID) || !userns_may_setgroups(old->userns))
        return -EPERM;
    if (gidsetsize < 0 || gidsetsize > NGROUPS_MAX_)
        return -EINVAL;
    if (gidsetsize) {
        groups = calloc((size_t)gidsetsize, sizeof(*groups));
        if (!groups)
            return -ENOMEM;
        ret = copy_in(groups, grouplist, (size_t)gidsetsize * sizeof(*groups));
        if (ret < 0)
            goto out;
    }
    for (int i = 0; i < gidsetsize; i++) {
        groups[i] = userns_to_kgid(old->userns, groups[i]);
        ret = -EINVAL;
        if (groups[i] == LX_ID_INVALID)
            goto out;
    }
    ret = cred_copy_groups(old, groups, (size_t)gidsetsize, &c);
    if (ret == 0)
        task_commit_cred_take(t, c);
out:
    free(groups);
    return ret;
}

/* ---- capabilities --------------------------------------------------------------------------- */

/* Words per set for the version asked for; an unknown version is told ours. */
static int cap_header_in(uaddr_t header, struct lx_cap_header *h, int *out_words)
{
    if (get_user(h, header) < 0)
        return -EFAULT;
    switch (h->version) {
    case LX_CAPABILITY_VERSION_1:
        *out_words = 1;
        return 0;
    case LX_CAPABILITY_VERSION_2:
    case LX_CAPABILITY_VERSION_3:
        *out_words = 2;
        return 0;
    default:
        h->version = LX_CAPABILITY_VERSION_3;
        return put_user(h, header) < 0 ? -EFAULT : -EINVAL;
    }
}

long sys_capget(struct task *t, uaddr_t header, uaddr_t dataptr)
{
    struct lx_cap_data data[2];
    struct lx_cap_header h;
    struct task *target;
    struct cred *c;
    int words, ret = cap_header_in(header, &h, &words);

    if (ret < 0)
        return ret == -EINVAL && !dataptr ? 0 : ret;
    if (h.pid < 0)
        return -EINVAL;
    target = h.pid ? task_find_get(h.pid) : task_get(t);
    if (!target)
        return -ESRCH;
    c = task_cred_get(target);
    task_put(target);
    for (int i = 0; i < 2; i++)
        data[i] = (struct lx_cap_data){(uint32_t)(c->cap_effective >> (32 * i)),
                                       (uint32_t)(c->cap_permitted >> (32 * i)),
                                       (uint32_t)(c->cap_inheritable >> (32 * i))};
    cred_put(c);
    if (!dataptr)
        return 0;
    return copy_out(dataptr, data, (size_t)words * sizeof(data[0]));
}

long sys_capset(struct task *t, uaddr_t header, uaddr_t dataptr)
{
    const struct cred *old = t->curr.cred;
    uint64_t effective, permitted, inheritable;
    struct lx_cap_data data[2] = {0};
    struct lx_cap_header h;
    struct cred *c;
    int words, ret = cap_header_in(header, &h, &words);

    if (ret < 0)
        return ret;
    if (h.pid && h.pid != pid_nr(t->curr.tid))
        return -EPERM;
    ret = copy_in(data, dataptr, (size_t)words * sizeof(data[0]));
    if (ret < 0)
        return ret;
    effective = (data[0].effective | (uint64_t)data[1].effective << 32) & LX_CAP_ALL;
    permitted = (data[0].permitted | (uint64_t)data[1].permitted << 32) & LX_CAP_ALL;
    inheritable = (data[0].inheritable | (uint64_t)data[1].inheritable << 32) & LX_CAP_ALL;
    if (!may(old, LX_CAP_SETPCAP) && (inheritable & ~(old->cap_inheritable | old->cap_permitted)))
        return -EPERM;
    if (inheritable & ~(old->cap_inheritable | old->cap_bounding))
        return -EPERM;
    if ((permitted & ~old->cap_permitted) || (effective & ~permitted))
        return -EPERM;
    ret = cred_copy(old, &c);
    if (ret < 0)
        return ret;
    c->cap_effective = effective;
    c->cap_permitted = permitted;
    c->cap_inheritable = inheritable;
    c->cap_ambient &= permitted & inheritable;
    task_commit_cred_take(t, c);
    return 0;
}
