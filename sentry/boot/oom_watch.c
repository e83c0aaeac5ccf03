/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/oom_watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/base/lock.h"
#include "sentry/core/clock.h"
#include "sentry/core/sleep.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/oom.h"

/* The peer gives up earlier, and a peer that is stopped must not stop the guest for long. */
#define PATIENCE  (2 * NSEC_PER_SEC)
#define WAIT_STEP (NSEC_PER_SEC / 1000)

static struct {
    struct mutex lock;
    struct list watches; /* lock */
    uint32_t told;       /* lock: the number of the last message */
    atomic_uint seen;    /* a */
} g_oom = {.lock = {.rank = RANK_OOM_WATCH}, .watches = LIST_INIT(g_oom.watches)};

/* The number of the message, 0 when there is nobody to tell. */
static uint32_t tell(memcg_id_t id)
{
    struct oom_watch *w;
    uint32_t number = 0;
    char text[48];

    mutex_lock(&g_oom.lock);
    list_for_each_entry(w, &g_oom.watches, node) {
        if (w->group != id && !(w->first && id == MEMCG_ROOT))
            continue;
        number = ++g_oom.told ? g_oom.told : ++g_oom.told;
        snprintf(text, sizeof(text), "{\"oom\":%u}", number);
        if (send(w->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            number = 0; /* it is gone, or has too much to read: then nobody counts */
        break;
    }
    mutex_unlock(&g_oom.lock);
    return number;
}

static void announce(memcg_id_t id)
{
    uint64_t deadline = deadline_after(PATIENCE);
    uint32_t number = tell(id);

    while (number && atomic_load(&g_oom.seen) != number && clock_monotonic() < deadline)
        thread_pause(WAIT_STEP);
}

void oom_watch_seen(uint32_t number)
{
    atomic_store(&g_oom.seen, number);
}

void oom_watch_start(struct oom_watch *w, int fd, struct sandbox_process *p)
{
    struct sandbox_container *sc = p->container;

    if (!p->is_init)
        return;
    w->fd = fd;
    w->group = cgroup_memcg(kcontainer_cgroup(sandbox_container_kernel(sc)));
    w->first = sandbox_container_is_first(sc);
    mutex_lock(&g_oom.lock);
    list_add_tail(&g_oom.watches, &w->node);
    if (!g_oom_announce) /* before a guest runs */
        g_oom_announce = announce;
    mutex_unlock(&g_oom.lock);
}

void oom_watch_stop(struct oom_watch *w)
{
    mutex_lock(&g_oom.lock);
    list_del(&w->node);
    mutex_unlock(&g_oom.lock);
}
