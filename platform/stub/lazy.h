/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When pending changes that only add mappings are applied. Additions that nobody touches yet can
 * wait: they often merge with the next ones (the dynamic loader) or are taken back (a buffer for a
 * while). But memory that is touched at once costs a fault more when its mapping waits. The score
 * remembers which of the two a thread does; at 0 every sample-th addition waits, to see whether it
 * changed.
 */
#pragma once

#include "platform/base/compiler.h"

/* What a space's queue holds. */
enum { PENDING_NONE, PENDING_LAZY, PENDING_FORCED };

enum { LAZY_MAX = 4, LAZY_SAMPLE = 16 };

/* Lifetime: embedded in the ctx; its owner's. */
struct lazy {
    bool drain_next;      /* the last event was a fault: its answer is needed at once */
    int score;            /* 0..LAZY_MAX */
    unsigned runs;        /* since additions began to wait */
    unsigned eager_count; /* drains at score 0 */
};

/* Must the queue be applied before this run? pending: PENDING_*. */
static inline bool lazy_must_drain(struct lazy *l, unsigned pending)
{
    bool answer = l->drain_next;

    l->drain_next = false;
    if (likely(pending == PENDING_NONE)) {
        if (l->runs) /* taken back, nobody had touched it */
            l->score = MIN(l->score + 2, LAZY_MAX);
        l->runs = 0;
        return false;
    }
    if (pending == PENDING_FORCED || answer)
        return true;
    if (l->runs == 0 && l->score == 0 && ++l->eager_count % LAZY_SAMPLE != 0)
        return true;
    if (l->runs == 1 && l->score < LAZY_MAX)
        l->score++; /* a whole run without it */
    l->runs++;
    return false;
}

/* A fault hit memory whose mapping waited. */
static inline void lazy_missed(struct lazy *l)
{
    if (l->runs <= 1 && l->score > 0)
        l->score--;
}
