/* SPDX-License-Identifier: Apache-2.0 */
/* IPC namespaces: what System V objects and POSIX message queues hang on. ipc_namespaces(7). */
#include "sentry/kernel/ipc_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/namespace.h"

int ipcns_new(struct userns *owner, struct ipcns **out)
{
    struct ipcns *ns = calloc(1, sizeof(*ns));

    if (!ns)
        return -ENOMEM;
    refs_init(&ns->refs);
    mutex_init(&ns->lock, RANK_LEAF);
    ns->owner = userns_get(owner);
    ns->inum = ns_inum_new();
    *out = ns;
    return 0;
}

struct ipcns *ipcns_get(struct ipcns *ns)
{
    refs_get(&ns->refs);
    return ns;
}

void ipcns_put(struct ipcns *ns)
{
    if (!ns || !refs_put(&ns->refs))
        return;
    userns_put(ns->owner);
    mutex_destroy(&ns->lock);
    free(ns);
}

uint64_t ipcns_inum(const struct ipcns *ns)
{
    return ns->inum;
}

void ipc_task_exit(struct task *t)
{
    (void)t;
}
