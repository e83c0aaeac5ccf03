/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lsm_list_modules(2), lsm_get_self_attr(2), lsm_set_self_attr(2). The modules are capabilities and
 * landlock; neither has attributes, so the attribute calls check their arguments and say that.
 */
#include <errno.h>

#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

#define LSM_ID_UNDEF      0u
#define LSM_ID_CAPABILITY 100u
#define LSM_ID_LANDLOCK   110u
#define LSM_FLAG_SINGLE   1u
#define LSM_ATTR_UNDEF    0u

struct lx_lsm_ctx {
    uint64_t id, flags, len, ctx_len;
};
static_assert(sizeof(struct lx_lsm_ctx) == 32, "struct lsm_ctx");

static const uint64_t g_modules[] = {LSM_ID_CAPABILITY, LSM_ID_LANDLOCK};

long sys_lsm_list_modules(struct task *t, uaddr_t ids, uaddr_t size, uint32_t flags)
{
    uint32_t room, need = sizeof(g_modules);

    (void)t;
    if (flags)
        return -EINVAL;
    if (get_user(&room, size) < 0 || put_user(&need, size) < 0)
        return -EFAULT;
    if (room < need)
        return -E2BIG;
    if (copy_out(ids, g_modules, sizeof(g_modules)) < 0)
        return -EFAULT;
    return ARRAY_COUNT(g_modules);
}

long sys_lsm_get_self_attr(struct task *t, uint32_t attr, uaddr_t ctx, uaddr_t size, uint32_t flags)
{
    struct lx_lsm_ctx one;
    uint32_t room, total = 0;

    (void)t;
    if (attr == LSM_ATTR_UNDEF || !size)
        return -EINVAL;
    if (get_user(&room, size) < 0)
        return -EFAULT;
    if (flags) {
        if (flags != LSM_FLAG_SINGLE || !ctx)
            return -EINVAL;
        if (get_user(&one, ctx) < 0)
            return -EFAULT;
        if (one.id == LSM_ID_UNDEF)
            return -EINVAL;
    }
    if (put_user(&total, size) < 0)
        return -EFAULT;
    return -EOPNOTSUPP;
}

long sys_lsm_set_self_attr(struct task *t, uint32_t attr, uaddr_t ctx, uint32_t size,
                           uint32_t flags)
{
    struct lx_lsm_ctx c;
    uint64_t need;
    uint8_t last;

    (void)t;
    (void)attr;
    if (flags || size < sizeof(c))
        return -EINVAL;
    if (size > LX_PAGE_SIZE)
        return -E2BIG;
    if (get_user(&c, ctx) < 0 || get_user(&last, ctx + size - 1) < 0)
        return -EFAULT;
    if (__builtin_add_overflow(sizeof(c), c.ctx_len, &need) || size < c.len || c.len < need)
        return -EINVAL;
    return -EOPNOTSUPP;
}
