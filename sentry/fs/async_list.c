/* SPDX-License-Identifier: Apache-2.0 */
/* SIGIO for objects with several open files; see async_list.h. */
#include "sentry/fs/async_list.h"

#include "sentry/abi/fcntl.h"

enum { LX_POLL_IN = 1, LX_POLL_OUT = 2 }; /* si_code of SIGIO */

void async_list_init(struct async_list *l)
{
    mutex_init(&l->lock, RANK_ASYNC);
    list_init(&l->nodes);
    atomic_init(&l->any, false);
}

void async_list_destroy(struct async_list *l)
{
    ASSERT(list_empty(&l->nodes));
    mutex_destroy(&l->lock);
}

void async_node_init(struct async_node *n, struct file *f)
{
    list_init(&n->node);
    n->file = f;
}

void async_list_update(struct async_list *l, struct async_node *n, uint32_t flags)
{
    mutex_lock(&l->lock);
    list_del(&n->node);
    if (flags & LX_O_ASYNC)
        list_add_tail(&l->nodes, &n->node);
    atomic_store(&l->any, !list_empty(&l->nodes));
    mutex_unlock(&l->lock);
}

void async_list_signal(struct async_list *l, uint32_t events)
{
    struct async_node *n;

    if (likely(!atomic_load(&l->any)))
        return;
    mutex_lock(&l->lock);
    list_for_each_entry(n, &l->nodes, node) {
        if ((events & WAKE_IN) && file_readable(n->file))
            file_kill_fasync(n->file, LX_POLL_IN, WAKE_IN | WAKE_RDNORM);
        if ((events & WAKE_OUT) && file_writable(n->file))
            file_kill_fasync(n->file, LX_POLL_OUT, WAKE_OUT | WAKE_WRNORM);
    }
    mutex_unlock(&l->lock);
}
