/* SPDX-License-Identifier: Apache-2.0 */
/* landlock_create_ruleset(2), landlock_add_rule(2), landlock_restrict_self(2). */
#include "sentry/fs/landlock/landlock.h"

#include <errno.h>

#include "sentry/kernel/settings.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

#define ATTR_SIZE_MIN 8u /* with the rights to files alone: the first version */

static long query(uaddr_t attr, size_t size, uint32_t flags)
{
    if (attr || size)
        return -EINVAL;
    if (flags == LX_LANDLOCK_CREATE_RULESET_VERSION)
        return LX_LANDLOCK_ABI;
    return flags == LX_LANDLOCK_CREATE_RULESET_ERRATA ? LX_LANDLOCK_ERRATA : -EINVAL;
}

long sys_landlock_create_ruleset(struct task *t, uaddr_t uattr, size_t size, uint32_t flags)
{
    struct lx_landlock_ruleset_attr attr;
    struct file *f;
    int fd, ret;

    if (flags)
        return query(uattr, size, flags);
    if (!uattr)
        return -EFAULT;
    if (size < ATTR_SIZE_MIN)
        return -EINVAL;
    if (size > LX_PAGE_SIZE)
        return -E2BIG;
    ret = copy_struct_from_user(&attr, sizeof(attr), uattr, size);
    if (ret < 0)
        return ret;
    if ((attr.handled_fs & ~(uint64_t)LX_LL_FS_ALL) ||
        (attr.handled_net & ~(uint64_t)LX_LL_NET_ALL) || (attr.scoped & ~(uint64_t)LX_LL_SCOPE_ALL))
        return -EINVAL;
    ret = landlock_ruleset_new(&attr, &f);
    if (ret < 0)
        return ret;
    fd = fdtable_install_take(t->curr.files, f, 0, /*cloexec=*/true);
    if (fd < 0)
        file_put(f);
    return fd;
}

static int ruleset_get(int fd, struct file **out)
{
    int ret = fdtable_lookup_get(curr()->files, fd, out);

    if (ret == 0 && !landlock_is_ruleset(*out)) {
        file_put(*out);
        ret = -EBADFD;
    }
    return ret;
}

static int add_path(struct file *rs, uaddr_t uattr)
{
    struct lx_landlock_path_beneath_attr attr;
    struct file *parent;
    int ret;

    if (get_user(&attr, uattr) < 0)
        return -EFAULT;
    ret = landlock_check_rights(rs, /*net=*/false, attr.allowed);
    if (ret == 0)
        ret = fdtable_lookup_any_get(curr()->files, attr.parent_fd, &parent);
    if (ret < 0)
        return ret;
    /* Nothing that has no place in a tree. */
    if (!parent->path.mnt || vfs_super_is_anon(mount_super(parent->path.mnt)))
        ret = -EBADFD;
    else
        ret = landlock_add_path(rs, &parent->path, attr.allowed);
    file_put(parent);
    return ret;
}

static int add_port(struct file *rs, uaddr_t uattr)
{
    struct lx_landlock_net_port_attr attr;

    if (get_user(&attr, uattr) < 0)
        return -EFAULT;
    return landlock_add_port(rs, attr.port, attr.allowed);
}

long sys_landlock_add_rule(struct task *t, int ruleset_fd, int rule_type, uaddr_t rule_attr,
                           uint32_t flags)
{
    struct file *rs;
    int ret;

    (void)t;
    if (flags)
        return -EINVAL;
    ret = ruleset_get(ruleset_fd, &rs);
    if (ret < 0)
        return ret;
    if (rule_type == LX_LANDLOCK_RULE_PATH_BENEATH)
        ret = add_path(rs, rule_attr);
    else
        ret = rule_type == LX_LANDLOCK_RULE_NET_PORT ? add_port(rs, rule_attr) : -EINVAL;
    file_put(rs);
    return ret;
}

/* The logging flags have nothing to switch: there is no audit log, as without CONFIG_AUDIT. */
long sys_landlock_restrict_self(struct task *t, int ruleset_fd, uint32_t flags)
{
    struct cred *c;
    struct file *rs;
    int ret;

    if (!task_no_new_privs(t) &&
        !cred_ns_capable(t->curr.cred, t->curr.cred->userns, LX_CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~LX_LANDLOCK_RESTRICT_MASK)
        return -EINVAL;
    if (ruleset_fd == -1 && flags == LX_LANDLOCK_RESTRICT_LOG_SUBDOMAINS_OFF)
        return 0;
    ret = ruleset_get(ruleset_fd, &rs);
    if (ret < 0)
        return ret;
    ret = landlock_restrict(rs, &c);
    file_put(rs);
    if (ret == 0)
        task_commit_cred_take(t, c);
    return ret;
}
