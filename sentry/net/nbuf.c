/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queued bytes. The charge of a buffer follows Linux's truesize closely enough that programs which
 * fill a socket see the same order of magnitude: data rounded up to an allocation plus bookkeeping.
 */
#include <stdlib.h>

#include "sentry/net/sock.h"
#include "sentry/net/unix/scm.h"

#define NBUF_OVERHEAD 576

struct nbuf *nbuf_new(size_t cap)
{
    struct nbuf *b = malloc(sizeof(*b) + cap);

    if (!b)
        return NULL;
    *b = (struct nbuf){.cap = cap, .truesize = (cap + 63) / 64 * 64 + NBUF_OVERHEAD};
    list_init(&b->node);
    return b;
}

void nbuf_charge(struct nbuf *b, struct sock *sk)
{
    b->owner = sock_get(sk);
    atomic_fetch_add(&sk->wmem, (long)b->truesize);
}

void nbuf_free(struct nbuf *b)
{
    struct sock *owner = b->owner;

    if (owner) {
        atomic_fetch_sub(&owner->wmem, (long)b->truesize);
        sock_wake(owner, WAKE_OUT | WAKE_WRNORM | WAKE_WRBAND);
        sock_put(owner);
    }
    if (b->scm)
        scm_free(b->scm);
    free(b->from);
    free(b->meta);
    free(b);
}

void nbuf_list_free(struct list *head)
{
    while (!list_empty(head)) {
        struct nbuf *b = list_first_entry(head, struct nbuf, node);

        list_del(&b->node);
        nbuf_free(b);
    }
}
