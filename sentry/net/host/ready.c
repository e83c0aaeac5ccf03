/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness of host sockets: one thread, one host epoll, edge-triggered. A socket is registered
 * when something first waits for it or asks for its readiness, and stays until it is closed;
 * sockets that are only read and written never wake the thread. An event wakes the endpoint's
 * queue; whoever is woken asks the host again, so an event that is late or too many does no harm.
 *
 * Events carry a slot number and a generation, never a pointer: an event that was fetched before
 * its socket went away finds another generation and is dropped.
 */
#include <errno.h>
#include <stdlib.h>

#include "platform/host/file.h"
#include "platform/host/sock.h"
#include "sentry/core/curr.h"
#include "sentry/net/host/host_internal.h"

enum { EVENTS_MAX = 64, SLOTS_MIN = 64 };

#define WATCH_EVENTS                                                                               \
    (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLRDNORM | EPOLLWRNORM | EPOLLRDBAND |        \
     EPOLLWRBAND | EPOLLET)

struct slot {
    struct host_sock *h; /* borrowed: unwatched before it is freed. NULL: free */
    uint32_t generation;
};

/* Keys: l ->lock; I immutable after host_ready_start */
static struct {
    struct mutex lock;    /* rank LEAF */
    int epfd;             /* I */
    struct slot *slots;   /* l, owned */
    uint32_t count, next; /* l */
} g_ready = {.lock = {.rank = RANK_LEAF}, .epfd = -1};

/* A free slot, or -ENOMEM. */
static int64_t slot_find_locked(void)
{
    uint32_t grown = g_ready.count ? g_ready.count * 2 : SLOTS_MIN;
    struct slot *slots;

    for (uint32_t i = 0; i < g_ready.count; i++) {
        uint32_t at = (g_ready.next + i) % g_ready.count;

        if (!g_ready.slots[at].h) {
            g_ready.next = (at + 1) % g_ready.count;
            return at;
        }
    }
    slots = realloc(g_ready.slots, grown * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    memset(slots + g_ready.count, 0, (grown - g_ready.count) * sizeof(*slots));
    g_ready.slots = slots;
    g_ready.next = g_ready.count + 1;
    g_ready.count = grown;
    return g_ready.next - 1;
}

void host_sock_watch(struct host_sock *h)
{
    struct epoll_event ev = {.events = WATCH_EVENTS};
    int64_t at;

    if (atomic_load(&h->watched))
        return;
    mutex_lock(&g_ready.lock);
    at = atomic_load(&h->watched) || h->fd < 0 ? -1 : slot_find_locked();
    if (at >= 0) {
        struct slot *s = &g_ready.slots[at];

        s->generation++;
        ev.data.u64 = (uint64_t)s->generation << 32 | (uint32_t)at;
        if (host_epoll_ctl(g_ready.epfd, EPOLL_CTL_ADD, h->fd, &ev) >= 0) {
            s->h = h;
            h->slot = (uint32_t)at;
            atomic_store(&h->watched, true);
        }
    }
    mutex_unlock(&g_ready.lock);
    /* Out of memory: the caller waits without a wake-up until its timeout or a signal; the next
     * call tries again. */
}

void host_sock_unwatch(struct host_sock *h)
{
    struct epoll_event ev = {0};

    mutex_lock(&g_ready.lock);
    if (atomic_load(&h->watched)) {
        g_ready.slots[h->slot].h = NULL;
        atomic_store(&h->watched, false);
        (void)host_epoll_ctl(g_ready.epfd, EPOLL_CTL_DEL, h->fd, &ev); /* it is there */
    }
    mutex_unlock(&g_ready.lock);
}

/* +1 or NULL. */
static struct host_sock *slot_lookup_get(uint64_t id)
{
    uint32_t at = (uint32_t)id;
    struct host_sock *h = NULL;

    mutex_lock(&g_ready.lock);
    if (at < g_ready.count && g_ready.slots[at].generation == id >> 32)
        h = g_ready.slots[at].h;
    if (h && !refs_get_not_zero(&h->in.sk.refs))
        h = NULL;
    mutex_unlock(&g_ready.lock);
    return h;
}

static void deliver(const struct epoll_event *ev)
{
    struct host_sock *h = slot_lookup_get(ev->data.u64);
    uint32_t events = ev->events;

    if (!h)
        return;
    if (events & (EPOLLERR | EPOLLHUP))
        events |= WAKE_IN | WAKE_OUT | WAKE_RDNORM | WAKE_WRNORM;
    mutex_lock(&h->in.sk.lock);
    sock_wake_locked(&h->in.sk, events);
    /* An event tells all that is ready: only the first one with urgent data is news. */
    if ((events & EPOLLPRI) && !h->urgent)
        sock_signal_urgent_locked(&h->in.sk);
    h->urgent = events & EPOLLPRI;
    mutex_unlock(&h->in.sk.lock);
    sock_put(&h->in.sk);
}

static void ready_main(void *arg)
{
    struct epoll_event events[EVENTS_MAX];

    (void)arg;
    for (;;) {
        int n = host_epoll_wait(g_ready.epfd, events, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++)
            deliver(&events[i]);
    }
}

int host_ready_start(int epfd)
{
    g_ready.epfd = epfd;
    return thread_start("host-sockets", ready_main, NULL);
}
