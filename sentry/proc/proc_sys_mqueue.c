/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/sys/fs/mqueue: the limits of the reader's ipc namespace. */
#include <errno.h>
#include <stdlib.h>

#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/proc/proc_internal.h"

/* A row: which limit, and what may be written to it. */
struct mqueue_row {
    size_t offset; /* of the int64_t in struct mqueue_limits */
    long min, max;
};

static int find(const struct pseudo_node *n, _Atomic int64_t **out)
{
    const struct mqueue_row *row = n->entry->data;
    struct mntns *home;
    int ret = g_mqueue_ops->home(&home);

    if (ret < 0)
        return ret;
    /* SAFETY: offset is that of an _Atomic int64_t member, by the table below. */
    *out = (_Atomic int64_t *)((char *)mqueue_fs_limits(home) + row->offset);
    return 0;
}

static int show(struct pseudo_node *n, struct pbuf *b)
{
    _Atomic int64_t *limit;
    int ret = find(n, &limit);

    if (ret == 0)
        pbuf_printf(b, "%lld\n", (long long)atomic_load(limit));
    return ret;
}

static ssize_t store(struct pseudo_node *n, char *data, size_t size)
{
    const struct mqueue_row *row = n->entry->data;
    _Atomic int64_t *limit;
    char *end;
    long v;
    int ret = find(n, &limit);

    if (ret < 0)
        return ret;
    errno = 0;
    v = strtol(data, &end, 10);
    if (end == data || errno || (*end && *end != '\n' && *end != ' '))
        return -EINVAL;
    if (v < row->min || v > row->max)
        return -EINVAL;
    atomic_store(limit, v);
    return (ssize_t)size;
}

#define ROW(field, lo, hi)                                                                         \
    {                                                                                              \
        .name = #field, .mode = 0100644, .show = show, .store = store,                             \
        .data = &(const struct mqueue_row)                                                         \
        {                                                                                          \
            offsetof(struct mqueue_limits, field), (lo), (hi)                                      \
        }                                                                                          \
    }

const struct pseudo_entry g_proc_sys_mqueue_table[] = {
    ROW(msg_default, 1, LX_MQ_HARD_MSGMAX),        ROW(msg_max, 1, LX_MQ_HARD_MSGMAX),
    ROW(msgsize_default, 128, LX_MQ_HARD_MSGSIZE), ROW(msgsize_max, 128, LX_MQ_HARD_MSGSIZE),
    ROW(queues_max, INT32_MIN, INT32_MAX),         {0},
};
