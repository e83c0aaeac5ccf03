/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restartable sequences (rseq(2)) of guest threads, done by the host.
 *
 * Only the host knows when it preempts or migrates a stub, so only its own rseq can keep the promise
 * of a critical section. The host's rseq of a stub is registered at an address of the stub's own,
 * the alias, where nothing of the guest lies; there the page is mapped that has the guest's area. What
 * the guest writes to its area the host reads through the alias, and what the host writes (cpu_id, the end
 * of a section) the guest reads. The alias is always mapped and writable, whatever the guest does
 * to its own mapping of the page: the host kills a process whose area it cannot write.
 *
 * A registration with the host is made when a guest thread's area is at another place in its page,
 * or has another signature, than the one before, and lasts as long as the stub does. In between the alias
 * shows a page of the sentry's that nobody else sees, so ending a guest's registration, and beginning
 * another one at the same place, is a change of mappings among others. What is registered must never
 * show a page where the area is at another place: the host takes what it finds there for a critical section,
 * and kills. So the next registration is made at another alias, or the old one ends before.
 *
 * Security: the alias is memory the guest has anyway, or a page for this stub alone. Abort handlers
 * are addresses of the guest's choice, which it could jump to itself, at any moment: see the
 * safety rules of the back ends, which do not depend on where guest code goes. A stub that made the
 * host's call itself, with an area of its choice, must serve no other program (seccomp/space.c).
 */
#pragma once

#include "platform/stub/slots.h"
#include "platform/stub/space.h"

enum { RSEQ_AREA_SIZE = 32, RSEQ_UNREGISTER = 1 };

struct stub_rseq_area {
    uaddr_t addr; /* in the alias; 0: none */
    uint32_t sig;
};

/* Lifetime: by value, with the stub. Keys: owner thread, and space->lock */
struct stub_rseq {
    uaddr_t alias;              /* 0: it has none yet */
    uaddr_t other;              /* the one that is not in use: unmapped, or shows the own page */
    struct slots *own;          /* where the alias points while no guest page is there */
    uint64_t own_off;           /* and the page of it */
    bool guest;                 /* the alias shows a guest's page, or will before guest code runs */
    bool shown;                 /* it may show one now */
    struct stub_rseq_area host; /* what the stub has registered */
    struct stub_rseq_area wanted; /* what it shall have before guest code runs; addr 0: anything */
};

/* Off at first; before the platform is made. */
void stub_rseq_enable(bool on);
/* Was it enabled, and does the host have it? Asked before the jail. */
bool stub_rseq_supported(void);
/* Must the stub make calls before guest code runs? */
static inline bool stub_rseq_due(const struct stub_rseq *r)
{
    return r->wanted.addr && (r->wanted.addr != r->host.addr || r->wanted.sig != r->host.sig);
}
/* Has it an area with the host that is not the one at offset of its page with sig? */
bool stub_rseq_differs(const struct stub_rseq *r, uint64_t offset, uint32_t sig);
/* Points the alias to the page of fd with offset, fd < 0: to its own. When it showed another one that
 * is done at once, with by (see stub_space_ops), so that the host does not write to that one any more;
 * else before the next guest code. */
int MUST_CHECK stub_rseq_point_locked(struct stub_space *s, struct platform_ctx *by,
                                      struct stub_rseq *r, int fd, uint64_t offset, uint32_t sig)
    REQUIRES(s->lock);
/* The same to its own page, later: the stub is parked, and a barrier waits for it. */
int MUST_CHECK stub_rseq_park_locked(struct stub_space *s, struct stub_rseq *r) REQUIRES(s->lock);
/* The change that points the alias to its own page. */
struct change stub_rseq_own(const struct stub_rseq *r);
/* The alias shows what it shall: what follows for the area. */
void stub_rseq_set(struct stub_rseq *r, bool guest, uint64_t offset, uint32_t sig);
