/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who pays for the pages of the memory file: a tree of counters, the memory side of cgroup2.
 *
 * Each allocated page remembers the group that it was charged to and gives the charge back there,
 * whoever frees it. Group 0 is the root, the whole sandbox; sentry service threads charge to it. A
 * charge counts in the group and all its ancestors and fails when one of them would pass its
 * maximum. The failing thread remembers which (memcg_oom_retry): the code that holds no lock any
 * more asks for a victim there and tries again.
 */
#pragma once

#include "sentry/mm/memfile.h"

typedef uint16_t memcg_id_t;
#define MEMCG_ROOT      ((memcg_id_t)0)
#define MEMCG_UNLIMITED UINT64_MAX

enum memcg_event {
    MEMCG_EVENT_LOW,
    MEMCG_EVENT_HIGH,
    MEMCG_EVENT_MAX,
    MEMCG_EVENT_OOM,
    MEMCG_EVENT_OOM_KILL,
    MEMCG_EVENT_OOM_GROUP_KILL,
    MEMCG_EVENT_COUNT
};

/* Bytes; limits MEMCG_UNLIMITED when there is none. */
struct memcg_usage {
    uint64_t current, peak, max, high;
    uint64_t kind[MEMFILE_KIND_COUNT];
    uint64_t events[MEMCG_EVENT_COUNT];       /* of the group and those below it */
    uint64_t events_local[MEMCG_EVENT_COUNT]; /* of the group's own limits and members */
};

/* A child of parent without limits. -ENOMEM: too many groups. */
int MUST_CHECK memcg_new(memcg_id_t parent, memcg_id_t *out);
/* The name is gone: the counters go when the last page that is charged to them does. */
void memcg_release(memcg_id_t id);
void memcg_usage(memcg_id_t id, struct memcg_usage *out);
void memcg_set_max(memcg_id_t id, uint64_t bytes);
void memcg_set_high(memcg_id_t id, uint64_t bytes);
void memcg_event(memcg_id_t id, enum memcg_event e);
/* Bytes that a member of id may still charge before some maximum on the way up is reached. */
uint64_t memcg_margin(memcg_id_t id);
/* The smallest maximum on the way up. */
uint64_t memcg_limit(memcg_id_t id);
/* Is id below (or the same as) ancestor? */
bool memcg_is_below(memcg_id_t id, memcg_id_t ancestor);

/* Where a thread's charges go. Changes take effect for its next allocation. */
struct curr;
void memcg_task_set(struct curr *c, memcg_id_t id);

/* Inverted needs, filled by kernel/. */
struct memcg_ops {
    /* Group id is at its maximum and the caller wants more bytes. Picks and kills a process there
     * and waits for its memory. True: try again. May be called with locks that rank before TASKSET.
     */
    bool (*oom)(memcg_id_t id, uint64_t wanted);
};
extern const struct memcg_ops *g_memcg_ops;
/* To be asked after a failure, holding no lock that ranks at or after TASKSET: did the last charge
 * of this thread fail at a limit, and has room been made? False: let the error stand. */
bool memcg_oom_retry(void);
/* Forgets an earlier failure; entry points that use memcg_oom_retry start with it. */
void memcg_oom_forget(void);
/* Is there something for memcg_take_over_high or a failure to report? */
bool memcg_thread_has_news(void);
/* The group (or an ancestor) that this thread found above its memory.high since the last call, and
 * by how many pages; false: none. */
bool memcg_take_over_high(memcg_id_t *out_id, uint64_t *out_over);
