/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes (host objects held by descriptor) and the bounded table that maps fids to them. */
#include <stdlib.h>

#include "gofer/gofer_internal.h"
#include "platform/base/assert.h"
#include "platform/host/file.h"

struct node *node_new(int fd, const struct statx *st)
{
    struct node *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->refs = 1;
    n->fd = fd;
    n->list_fd = -1;
    n->mode = st->stx_mode;
    n->dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
    n->ino = st->stx_ino;
    return n;
}

struct node *node_get(struct node *n)
{
    n->refs++;
    return n;
}

void node_put(struct node *n)
{
    ASSERT(n->refs > 0);
    if (--n->refs > 0)
        return;
    if (n->list_fd >= 0)
        host_close(n->list_fd);
    host_close(n->fd);
    free(n);
}

struct node *fid_lookup(struct session *s, uint32_t fid)
{
    return fid < s->max_fids ? s->fids[fid] : NULL;
}

bool fid_bindable(struct session *s, uint32_t fid)
{
    return fid < s->max_fids && !s->fids[fid];
}

void fid_bind_take(struct session *s, uint32_t fid, struct node *n)
{
    ASSERT(fid_bindable(s, fid));
    s->fids[fid] = n;
}

void fid_clunk(struct session *s, uint32_t fid)
{
    struct node *n = s->fids[fid];

    s->fids[fid] = NULL;
    node_put(n);
}

void fid_clunk_all(struct session *s)
{
    for (uint32_t i = 0; i < s->max_fids; i++) {
        if (s->fids[i])
            fid_clunk(s, i);
    }
}
