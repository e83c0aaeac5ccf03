/* SPDX-License-Identifier: Apache-2.0 */
/* See fs_path.h. */
#include "sentry/syscalls/fs_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/uaccess.h"

int path_arg_init(struct path_arg *a, uaddr_t src, bool empty_ok)
{
    ssize_t len = copy_in_str(a->buf, src, sizeof(a->buf));

    a->heap = NULL;
    a->s = a->buf;
    if (len == -ENAMETOOLONG) {
        a->heap = malloc(LX_PATH_MAX);
        if (!a->heap)
            return -ENOMEM;
        a->s = a->heap;
        len = copy_in_str(a->heap, src, LX_PATH_MAX);
    }
    if (len == 0 && !empty_ok)
        len = -ENOENT;
    if (len < 0)
        free(a->heap);
    return len < 0 ? (int)len : 0;
}

void path_arg_free(struct path_arg *a)
{
    free(a->heap);
}

int path_from_user(int dfd, uaddr_t name, bool follow, bool empty_ok, struct path *out)
{
    struct path_arg a;
    int ret = path_arg_init(&a, name, empty_ok);

    if (ret < 0)
        return ret;
    ret = vfs_walk(dfd, a.s, (follow ? WALK_FOLLOW : 0) | (empty_ok ? WALK_EMPTY : 0), out);
    path_arg_free(&a);
    return ret;
}
