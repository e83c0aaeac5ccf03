/* SPDX-License-Identifier: Apache-2.0 */
/* statmount(2), listmount(2). */
#include <errno.h>
#include <stdlib.h>

#include "sentry/abi/mount.h"
#include "sentry/fs/mount.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

#define LISTMOUNT_MAX 1000000u

/* DEVIATION: other mount namespaces are not looked into: naming one is -ENOENT, as for one that the
 * caller may not see. */
static int request_in(uaddr_t ureq, struct lx_mnt_id_req *out)
{
    uint32_t usize;
    int ret;

    if (get_user(&usize, ureq) < 0)
        return -EFAULT;
    if (usize > LX_PAGE_SIZE)
        return -E2BIG;
    if (usize < LX_MNT_ID_REQ_SIZE_VER0)
        return -EINVAL;
    ret = copy_struct_from_user(out, sizeof(*out), ureq, usize);
    if (ret < 0)
        return ret;
    if (out->mnt_ns_fd && out->mnt_ns_id)
        return -EINVAL;
    if (out->mnt_id <= LX_MNT_UNIQUE_OFFSET)
        return -EINVAL;
    return 0;
}

long sys_statmount(struct task *t, uaddr_t req, uaddr_t buf, size_t bufsize, uint32_t flags)
{
    struct lx_mnt_id_req r;
    struct lx_statmount sm;
    char *strings = NULL;
    size_t size = 0, head = MIN(bufsize, sizeof(sm));
    int ret;

    (void)t;
    if (flags)
        return -EINVAL;
    ret = request_in(req, &r);
    if (ret == 0 && (r.mnt_ns_id || r.mnt_ns_fd))
        ret = -ENOENT;
    if (ret == 0)
        ret = vfs_statmount(r.mnt_id, r.param, &sm, &strings, &size);
    if (ret < 0)
        return ret;
    if (size && (bufsize < sizeof(sm) || size > bufsize - sizeof(sm)))
        ret = -EOVERFLOW;
    sm.size = (uint32_t)(head + size);
    if (ret == 0)
        ret = copy_out(buf, &sm, head);
    if (ret == 0 && size)
        ret = copy_out(buf + sizeof(sm), strings, size);
    free(strings);
    return ret;
}

long sys_listmount(struct task *t, uaddr_t req, uaddr_t mnt_ids, size_t nr_mnt_ids, uint32_t flags)
{
    struct lx_mnt_id_req r;
    uint64_t *ids;
    size_t n;
    long ret;

    (void)t;
    if (flags & ~LX_LISTMOUNT_REVERSE)
        return -EINVAL;
    if (nr_mnt_ids > LISTMOUNT_MAX)
        return -EOVERFLOW;
    ret = request_in(req, &r);
    if (ret == 0 && r.param && r.param <= LX_MNT_UNIQUE_OFFSET)
        ret = -EINVAL;
    if (ret == 0 && (r.mnt_ns_id || r.mnt_ns_fd))
        ret = -ENOENT;
    if (ret == 0)
        ret = vfs_listmount(r.mnt_id, r.param, flags & LX_LISTMOUNT_REVERSE, &ids, &n);
    if (ret < 0)
        return ret;
    n = MIN(n, nr_mnt_ids);
    ret = copy_out(mnt_ids, ids, n * sizeof(*ids));
    free(ids);
    return ret < 0 ? ret : (long)n;
}
