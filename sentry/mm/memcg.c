// SPDX-License-Identifier: Apache-2.0
/*
 * Memory groups. See memcg.h.
 *
 * One leaf lock guards all counters. A charge covers a run of pages (16 and more for anonymous
 * memory, up to the whole run that a put frees), is a few additions per level, and follows or
 * precedes an allocation that takes the memory file's own lock anyway; per-thread reserves as Linux
 * has them would save nothing here and make memory.current lie.
 *
 * States of a slot: FREE (on nobody's list, parent meaningless) -> LIVE (memcg_new) -> DYING
 * (memcg_release, still charged or still a parent) -> FREE. A slot counts its children, so an
 * ancestor of a live or dying group is never reused. A thread's group changes under the lock
 * (memcg_task_set), so a charge always goes to a group that the thread is in at that moment; the
 * cgroup that owns the id keeps it LIVE while it has members.
 */
#include "sentry/mm/memcg_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/lock.h"
#include "sentry/core/curr.h"

enum { MEMCG_MAX = 8192, NO_GROUP = MEMCG_MAX, PAGE = 4096 };

enum slot_state { SLOT_FREE, SLOT_LIVE, SLOT_DYING };

/* Keys: m g_lock */
struct memcg {
    enum slot_state state;             /* m */
    memcg_id_t parent;                 /* m: of the root: itself */
    uint32_t children;                 /* m: slots whose parent it is */
    uint64_t pages, peak, max, high;   /* m: pages */
    uint64_t kind[MEMFILE_KIND_COUNT]; /* m: pages, descendants included */
    uint64_t events[MEMCG_EVENT_COUNT];
    uint64_t events_local[MEMCG_EVENT_COUNT];
};

static struct mutex g_lock; /* rank LEAF */
static struct memcg *g_slots[MEMCG_MAX / 64];
static uint32_t g_next = 1; /* m: where to look for a free slot */
const struct memcg_ops *g_memcg_ops;

static _Thread_local int t_oom = -1;        /* group whose maximum stopped the last charge */
static _Thread_local uint64_t t_oom_wanted; /* bytes of that charge */
static _Thread_local bool t_full;           /* some charge failed since the last look */
static _Thread_local int t_high = -1;       /* group that was above its high mark */

static struct memcg g_first[64] = {
    [0] = {.state = SLOT_LIVE, .max = MEMCG_UNLIMITED, .high = MEMCG_UNLIMITED}};

void memcg_subsystem_init(void)
{
    mutex_init(&g_lock, RANK_LEAF);
    g_slots[0] = g_first;
}

static struct memcg *slot(memcg_id_t id)
{
    return &g_slots[id / 64][id % 64];
}

static uint64_t to_pages(uint64_t bytes)
{
    return bytes == MEMCG_UNLIMITED ? bytes : bytes / PAGE;
}

static uint64_t to_bytes(uint64_t pages)
{
    return pages == MEMCG_UNLIMITED ? pages : pages * PAGE;
}

void memcg_thread_reset(void)
{
    t_oom = t_high = -1;
    t_full = false;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int find_free_locked(memcg_id_t *out)
{
    for (uint32_t n = 0; n < MEMCG_MAX; n++) {
        uint32_t id = g_next;

        g_next = g_next + 1 < MEMCG_MAX ? g_next + 1 : 1;
        if (!g_slots[id / 64]) {
            g_slots[id / 64] = calloc(64, sizeof(struct memcg));
            if (!g_slots[id / 64])
                return -ENOMEM;
        }
        if (slot((memcg_id_t)id)->state == SLOT_FREE) {
            *out = (memcg_id_t)id;
            return 0;
        }
    }
    return -ENOMEM;
}

int memcg_new(memcg_id_t parent, memcg_id_t *out)
{
    int ret;

    mutex_lock(&g_lock);
    ret = find_free_locked(out);
    if (ret == 0) {
        *slot(*out) = (struct memcg){
            .state = SLOT_LIVE, .parent = parent, .max = MEMCG_UNLIMITED, .high = MEMCG_UNLIMITED};
        slot(parent)->children++;
    }
    mutex_unlock(&g_lock);
    return ret;
}

/* A dying group without pages and children is free, which may free its parent. */
static void reap_locked(memcg_id_t id)
{
    struct memcg *m = slot(id);

    while (m->state == SLOT_DYING && m->pages == 0 && m->children == 0) {
        m->state = SLOT_FREE;
        m = slot(m->parent);
        m->children--;
    }
}

void memcg_release(memcg_id_t id)
{
    mutex_lock(&g_lock);
    ASSERT(id != MEMCG_ROOT && slot(id)->state == SLOT_LIVE);
    slot(id)->state = SLOT_DYING;
    reap_locked(id);
    mutex_unlock(&g_lock);
}

void memcg_task_set(struct curr *c, memcg_id_t id)
{
    mutex_lock(&g_lock);
    c->memcg = id;
    mutex_unlock(&g_lock);
}

/* ---- charges -------------------------------------------------------------------------------- */

static void event_locked(memcg_id_t id, enum memcg_event e)
{
    slot(id)->events_local[e]++;
    for (;; id = slot(id)->parent) {
        slot(id)->events[e]++;
        if (id == MEMCG_ROOT)
            break;
    }
}

/* The first group on the way up that pages more would push above its maximum, or NO_GROUP. */
static int first_full_locked(memcg_id_t id, uint32_t pages)
{
    for (;; id = slot(id)->parent) {
        struct memcg *m = slot(id);

        if (m->max != MEMCG_UNLIMITED && (m->pages >= m->max || pages > m->max - m->pages))
            return id;
        if (id == MEMCG_ROOT)
            return NO_GROUP;
    }
}

bool memcg_charge(enum memfile_kind kind, uint32_t pages, memcg_id_t *out_id)
{
    memcg_id_t id, at;
    int full;

    mutex_lock(&g_lock);
    id = g_curr ? g_curr->memcg : MEMCG_ROOT; /* none yet while the sentry boots */
    full = first_full_locked(id, pages);
    if (full != NO_GROUP) {
        event_locked((memcg_id_t)full, MEMCG_EVENT_MAX);
        mutex_unlock(&g_lock);
        t_oom = full;
        t_full = true;
        t_oom_wanted = (uint64_t)pages * PAGE;
        return false;
    }
    for (at = id;; at = slot(at)->parent) {
        struct memcg *m = slot(at);

        m->pages += pages;
        m->kind[kind] += pages;
        if (m->pages > m->peak)
            m->peak = m->pages;
        if (m->pages > m->high) {
            event_locked(at, MEMCG_EVENT_HIGH);
            t_high = at;
        }
        if (at == MEMCG_ROOT)
            break;
    }
    mutex_unlock(&g_lock);
    t_oom = -1;
    *out_id = id;
    return true;
}

void memcg_uncharge(memcg_id_t id, enum memfile_kind kind, uint32_t pages)
{
    memcg_id_t at = id;

    mutex_lock(&g_lock);
    for (;; at = slot(at)->parent) {
        struct memcg *m = slot(at);

        ASSERT(m->pages >= pages && m->kind[kind] >= pages);
        m->pages -= pages;
        m->kind[kind] -= pages;
        if (at == MEMCG_ROOT)
            break;
    }
    reap_locked(id);
    mutex_unlock(&g_lock);
}

/* ---- questions and limits ------------------------------------------------------------------- */

void memcg_usage(memcg_id_t id, struct memcg_usage *out)
{
    const struct memcg *m;

    mutex_lock(&g_lock);
    m = slot(id);
    *out = (struct memcg_usage){.current = to_bytes(m->pages),
                                .peak = to_bytes(m->peak),
                                .max = to_bytes(m->max),
                                .high = to_bytes(m->high)};
    for (int i = 0; i < MEMFILE_KIND_COUNT; i++)
        out->kind[i] = to_bytes(m->kind[i]);
    memcpy(out->events, m->events, sizeof(out->events));
    memcpy(out->events_local, m->events_local, sizeof(out->events_local));
    mutex_unlock(&g_lock);
}

void memcg_set_max(memcg_id_t id, uint64_t bytes)
{
    mutex_lock(&g_lock);
    slot(id)->max = to_pages(bytes);
    mutex_unlock(&g_lock);
}

void memcg_set_high(memcg_id_t id, uint64_t bytes)
{
    mutex_lock(&g_lock);
    slot(id)->high = to_pages(bytes);
    mutex_unlock(&g_lock);
}

void memcg_event(memcg_id_t id, enum memcg_event e)
{
    mutex_lock(&g_lock);
    event_locked(id, e);
    mutex_unlock(&g_lock);
}

uint64_t memcg_margin(memcg_id_t id)
{
    uint64_t left = MEMCG_UNLIMITED;

    mutex_lock(&g_lock);
    for (;; id = slot(id)->parent) {
        const struct memcg *m = slot(id);

        if (m->max != MEMCG_UNLIMITED)
            left = MIN(left, m->max > m->pages ? m->max - m->pages : 0);
        if (id == MEMCG_ROOT)
            break;
    }
    mutex_unlock(&g_lock);
    return to_bytes(left);
}

uint64_t memcg_limit(memcg_id_t id)
{
    uint64_t max = MEMCG_UNLIMITED;

    mutex_lock(&g_lock);
    for (;; id = slot(id)->parent) {
        max = MIN(max, slot(id)->max);
        if (id == MEMCG_ROOT)
            break;
    }
    mutex_unlock(&g_lock);
    return to_bytes(max);
}

bool memcg_is_below(memcg_id_t id, memcg_id_t ancestor)
{
    bool below;

    mutex_lock(&g_lock);
    while (id != ancestor && id != MEMCG_ROOT)
        id = slot(id)->parent;
    below = id == ancestor;
    mutex_unlock(&g_lock);
    return below;
}

/* ---- out of memory -------------------------------------------------------------------------- */

void memcg_oom_forget(void)
{
    t_oom = -1;
}

bool memcg_thread_has_news(void)
{
    return t_high >= 0 || t_full;
}

bool memcg_oom_retry(void)
{
    int id = t_oom;

    t_oom = -1;
    return id >= 0 && g_memcg_ops && g_memcg_ops->oom((memcg_id_t)id, t_oom_wanted);
}

bool memcg_take_over_high(memcg_id_t *out_id, uint64_t *out_over)
{
    int id = t_high;

    t_full = false;
    if (likely(id < 0))
        return false;
    t_high = -1;
    *out_id = (memcg_id_t)id;
    mutex_lock(&g_lock);
    *out_over =
        slot(*out_id)->pages > slot(*out_id)->high ? slot(*out_id)->pages - slot(*out_id)->high : 0;
    mutex_unlock(&g_lock);
    return *out_over > 0;
}
