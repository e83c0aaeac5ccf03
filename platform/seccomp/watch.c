/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog: no guest can keep a sentry thread waiting for ever. A guest may load a signal frame
 * of its own making that blocks the kick signal. Then
 *
 *   kicked  guest code goes on after ctx_interrupt. Ended when the stub used KICK_CPU_NS of CPU
 *           time since: CPU time, not wall time, so that a starved machine kills nobody. It is that
 *           run alone which has to end, told by its number: the next one may compute as long as it likes.
 *   pulled  a stub that waits for the result of a call does not enter its handler. It uses no CPU
 *           time, so wall time it is, and plenty.
 *
 * The end is SIGKILL: the owner gets PLATFORM_DEAD. The thread sleeps while nothing is armed, so an
 * idle sandbox has no wake-ups. Lock: one leaf lock over the list; a pid is cleared under it before
 * the process's number can be used again.
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "platform/base/log.h"
#include "platform/host/futex.h"
#include "platform/host/proc.h"
#include "platform/seccomp/seccomp_internal.h"

enum {
    TICK_NS = 100000000,
    QUIET_TICKS = 20,
    KICK_CPU_NS = 200000000,
    PULL_TICKS = 50,
    STACK_SIZE = 64 * 1024,
};

static struct {
    struct mutex lock;
    struct list all;
    bool running;
    atomic_uint idle; /* 1: the thread sleeps until something is armed */
} g;
static pthread_once_t g_once = PTHREAD_ONCE_INIT;

static void init(void)
{
    mutex_init(&g.lock, RANK_LEAF);
    list_init(&g.all);
}

/* CPU time of a process, 0 when it is gone. */
static uint64_t cpu_ns(pid_t pid)
{
    return host_cpu_clock_ns(host_cpu_clock(pid, /*thread=*/false));
}

/* Does the run go on that was kicked long ago? */
static bool kick_overdue(struct watch *w, unsigned kicked, pid_t pid)
{
    const struct platform_ctx *c = container_of(w, struct platform_ctx, watch);

    if (atomic_load(&c->seq) != kicked) {
        atomic_compare_exchange_strong(&w->kicked, &kicked, 0);
        return false;
    }
    if (w->seq != kicked) {
        w->seq = kicked;
        w->start_cpu_ns = cpu_ns(pid);
        return false;
    }
    return cpu_ns(pid) > w->start_cpu_ns + KICK_CPU_NS;
}

static bool tick(void)
{
    struct watch *w;
    bool any = false;

    mutex_lock(&g.lock);
    list_for_each_entry(w, &g.all, node) {
        unsigned kicked = atomic_load(&w->kicked);
        bool pulled = atomic_load(&w->pulled);
        pid_t pid = atomic_load(&w->pid);

        w->pull_ticks = pulled ? w->pull_ticks + 1 : 0;
        any |= kicked || pulled;
        if ((kicked && kick_overdue(w, kicked, pid)) || w->pull_ticks > PULL_TICKS) {
            log_warn(LOG_PLATFORM, "seccomp: a guest thread blocks the sentry's signal: killed");
            (void)host_kill(pid, SIGKILL); /* gone is fine */
        }
    }
    mutex_unlock(&g.lock);
    return any;
}

static void *watch_main(void *arg)
{
    static const struct timespec nap = {.tv_nsec = TICK_NS};
    unsigned quiet = 0;

    placement_unpin_self();
    for (;;) {
        (void)nanosleep(&nap, NULL);
        quiet = tick() ? 0 : quiet + 1;
        if (quiet < QUIET_TICKS)
            continue;
        quiet = 0;
        atomic_store(&g.idle, 1);
        if (tick()) /* who came before that did not wake */
            atomic_store(&g.idle, 0);
        while (atomic_load(&g.idle))
            (void)host_futex_wait(&g.idle, 1, NULL); /* looks again */
    }
    return arg;
}

/* Caller holds g.lock. Without the thread a hostile guest can keep its own sentry thread waiting.
 */
static void start_thread(void)
{
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t thread;

    if (g.running)
        return;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    g.running = pthread_create(&thread, &attr, watch_main, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
}

void seccomp_watch_begin(struct watch *w, pid_t pid)
{
    pthread_once(&g_once, init);
    mutex_lock(&g.lock);
    start_thread();
    w->pull_ticks = w->seq = 0;
    atomic_store(&w->kicked, 0);
    atomic_store(&w->pulled, false);
    if (atomic_exchange(&w->pid, pid) == 0)
        list_add_tail(&g.all, &w->node);
    mutex_unlock(&g.lock);
}

void seccomp_watch_end(struct watch *w)
{
    if (atomic_load(&w->pid) == 0)
        return;
    mutex_lock(&g.lock);
    atomic_store(&w->pid, 0);
    list_del(&w->node);
    mutex_unlock(&g.lock);
}

static void wake_up(void)
{
    if (unlikely(atomic_load(&g.idle)) && atomic_exchange(&g.idle, 0))
        host_futex_wake(&g.idle, 1);
}

void seccomp_watch_kicked(struct watch *w, unsigned seq)
{
    unsigned old = atomic_load(&w->kicked);

    /* Who is late does not hide a later run's kick. */
    while ((!old || (int)(seq - old) > 0) && !atomic_compare_exchange_weak(&w->kicked, &old, seq)) {
    }
    wake_up();
}

void seccomp_watch_pull(struct watch *w, bool waits)
{
    atomic_store(&w->pulled, waits);
    if (waits)
        wake_up();
}

void seccomp_watch_kill(struct watch *w)
{
    pid_t pid;

    mutex_lock(&g.lock);
    pid = atomic_load(&w->pid);
    if (pid)
        (void)host_kill(pid, SIGKILL); /* gone is fine */
    mutex_unlock(&g.lock);
}
