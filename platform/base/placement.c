/* SPDX-License-Identifier: Apache-2.0 */
/* Pinning of pairs and the balancer; the policy and its reasons are in placement.h. */
#include "platform/base/placement.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/lock.h"

enum {
    TICK_NS = 4000000, /* with few pairs; grows with their number */
    PAIRS_PER_TICK_UNIT = 16,
    RUNS_ALONE = 16,            /* runs of a lone pair that wake the balancer once */
    IDLE_TICKS = 3,             /* quiet ticks before the balancer sleeps */
    STARVED_TICKS = 2,          /* before a move to a CPU with less to do */
    STARVED_TICKS_ROTATE = 25,  /* before a move that only makes the sharing fair */
    SLEEPS_PER_TICK = 4,        /* starts and ends; more: the pair talks, it does not compute */
    AWAKE_UNIT = 64,            /* awake averages count in these */
    AWAKE_TICKS = 8,            /* what they are over, about */
    CROWD = 5 * AWAKE_UNIT / 4, /* more pairs awake here than there on average: one goes there */
    HOLD_MIN = 4,
    HOLD_MAX = 256,
    BALANCER_STACK_SIZE = 64 * 1024,
};

_Thread_local atomic_uint g_placement_sleeps;
atomic_uint g_placement_idle = 1; /* 1: the balancer sleeps without a deadline or does not exist */

struct cpu_load {
    unsigned pairs; /* that want to compute */
    unsigned awake; /* that do not sleep at this moment */
    uint64_t ns;    /* CPU time our pairs got there during the tick */
};

atomic_bool g_placement_crowded;

/* The calling thread's pair while it is parted: guest code runs on another CPU than the thread. */
static _Thread_local const struct placement *t_parted;

static struct {
    struct mutex lock;
    struct list pairs;
    atomic_uint count; /* of pairs; read without the lock as a hint */
    unsigned active;   /* pairs that did anything in the last tick */
    unsigned parted;
    struct cpu_load load[CPU_SETSIZE]; /* of the last tick */
    unsigned awake[CPU_SETSIZE];       /* load.awake on average, in AWAKE_UNITs */
    struct placement_times times[CPU_SETSIZE];
    cpu_set_t allowed;
    unsigned cpu_count;   /* of allowed; 1: nothing to balance */
    atomic_bool balancer; /* the thread exists; set under the lock */
} g;

static pthread_once_t g_once = PTHREAD_ONCE_INIT;

static void init(void)
{
    mutex_init(&g.lock, RANK_LEAF);
    list_init(&g.pairs);
    if (sched_getaffinity(0, sizeof(g.allowed), &g.allowed) < 0)
        CPU_ZERO(&g.allowed);
    g.cpu_count = (unsigned)CPU_COUNT(&g.allowed);
}

/* CPU time of a thread of this process, or of another process, in ns; 0 when it is gone. */
static uint64_t cpu_ns(pid_t pid, bool thread)
{
    /* Linux: CPU clock ids are ~pid << 3, plus 4 for a thread, plus 2 for the scheduler's clock. */
    clockid_t id = (clockid_t)(~(unsigned)pid << 3 | (thread ? 4u : 0u) | 2u);
    struct timespec ts;

    if (syscall(SYS_clock_gettime, id, &ts) < 0)
        return 0;
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void pin(pid_t pid, int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    /* It may be gone, or the allowed set may have shrunk: then it runs where the host lets it. */
    (void)sched_setaffinity(pid, sizeof(set), &set);
}

/* A thread that is its own partner uses its time as thread. */
static uint64_t partner_cpu_ns(const struct placement *p)
{
    return p->partner == p->thread ? 0 : cpu_ns(p->partner, false);
}

/* Before a pair changes its CPU or its halves: what they used so far was used where they are. */
static void settle_times(struct placement *p)
{
    const uint64_t thread = cpu_ns(p->thread, true), partner = partner_cpu_ns(p);
    const int at = p->parted ? p->look_cpu : p->cpu;

    if (p->partner == p->thread && p->cpu >= 0 && thread > p->thread_ns)
        g.times[p->cpu].partner += thread - p->thread_ns;
    else if (p->cpu >= 0 && thread > p->thread_ns)
        g.times[at].thread += thread - p->thread_ns;
    if (p->cpu >= 0 && partner > p->partner_ns)
        g.times[p->cpu].partner += partner - p->partner_ns;
    p->thread_ns = thread;
    p->partner_ns = partner;
}

/* Updates one pair's figures; returns whether it was active at all. */
static bool sample(struct placement *p, uint64_t wall_ns, struct cpu_load *load)
{
    unsigned runs = atomic_load(p->runs), sleeps = atomic_load(p->sleeps);
    bool active = runs != p->last_runs || (runs & 1);
    bool wants = active && sleeps - p->last_sleeps <= SLEEPS_PER_TICK;
    uint64_t used = 0, total;

    p->last_runs = runs;
    p->last_sleeps = sleeps;
    if (!active) {
        p->starved = 0;
        p->last_cpu_ns = 0;
        return false;
    }
    settle_times(p);
    total = p->thread_ns + p->partner_ns;
    if (p->last_cpu_ns && total > p->last_cpu_ns)
        used = total - p->last_cpu_ns;
    wants = wants && p->last_cpu_ns;
    p->last_cpu_ns = total;
    if (p->hold)
        p->hold--;
    if (wants && used < wall_ns / 4 * 3)
        p->starved++;
    else
        p->starved = 0;
    if (used > wall_ns / 10 * 9)
        p->backoff = HOLD_MIN;
    if (p->cpu >= 0 && p->cpu < CPU_SETSIZE) {
        load[p->cpu].pairs += wants;
        load[p->cpu].awake += !(sleeps & 1);
        load[p->cpu].ns += used;
    }
    return true;
}

static bool may_use(const struct placement *p, int cpu)
{
    return CPU_ISSET(cpu, &g.allowed) && (!p->limited || CPU_ISSET(cpu, &p->cpus));
}

static int least_loaded(const struct placement *p, const struct cpu_load *load)
{
    int best = -1;

    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!may_use(p, i))
            continue;
        if (best < 0 || load[i].pairs < load[best].pairs ||
            (load[i].pairs == load[best].pairs && load[i].ns < load[best].ns))
            best = i;
    }
    return best;
}

/* *out_to: where to. */
static bool should_move(const struct placement *p, const struct cpu_load *load, uint64_t wall_ns,
                        int *out_to)
{
    unsigned here, there;
    int to;

    if (p->starved < STARVED_TICKS || p->hold || p->cpu < 0 || p->parted)
        return false;
    to = least_loaded(p, load);
    if (to < 0 || to == p->cpu)
        return false;
    *out_to = to;
    here = load[p->cpu].pairs;
    there = load[to].pairs;
    if (there + 1 < here)
        return true;
    if (there < here && p->starved >= STARVED_TICKS_ROTATE)
        return true;
    /* Foreign load: our pairs together do not get this CPU. */
    return there == 0 && load[p->cpu].ns < wall_ns / 4 * 3;
}

/*
 * Threads that sleep often and still do not get on, since many of them share a CPU beside one with
 * little to do (barriers, thread pools): one of them for the CPU *out_to. Two that talk to each other
 * are awake in turns, so they stay together. Caller holds g.lock.
 */
static struct placement *one_of_a_crowd(uint64_t wall_ns, int *out_to)
{
    struct placement *p;
    int to = -1;

    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &g.allowed) && (to < 0 || g.awake[i] < g.awake[to]))
            to = i;
    }
    list_for_each_entry(p, &g.pairs, node) {
        if (p->cpu < 0 || p->parted || p->hold || (atomic_load(p->sleeps) & 1) || !may_use(p, to) ||
            g.awake[p->cpu] < g.awake[to] + CROWD || g.load[p->cpu].ns < wall_ns / 4 * 3)
            continue;
        /* Before the averages know. */
        g.awake[p->cpu] -= AWAKE_UNIT;
        g.awake[to] += AWAKE_UNIT;
        *out_to = to;
        return p;
    }
    return NULL;
}

/* Caller holds g.lock. */
static void end_parting(struct placement *p)
{
    g.parted -= p->parted;
    p->parted = false;
    if (g.parted == 0)
        atomic_store(&g_placement_crowded, false);
}

/* One tick; at most one move, so that its effect is seen before the next. */
static bool balance(uint64_t wall_ns)
{
    struct cpu_load *load = g.load;
    struct placement *p, *mover = NULL;
    unsigned active = 0;
    int to = -1, target;

    mutex_lock(&g.lock);
    for (int i = 0; i < CPU_SETSIZE; i++)
        load[i] = (struct cpu_load){0};
    list_for_each_entry(p, &g.pairs, node) {
        if (sample(p, wall_ns, load)) {
            active++;
        } else if (p->parted) { /* sleeps in a call */
            settle_times(p);
            pin(p->thread, p->cpu);
            end_parting(p);
        }
    }
    g.active = active;
    atomic_store(&g_placement_crowded, g.parted && active + g.parted > g.cpu_count);
    list_for_each_entry(p, &g.pairs, node) {
        if (should_move(p, load, wall_ns, &target) && (!mover || p->starved > mover->starved)) {
            mover = p;
            to = target;
        }
    }
    for (int i = 0; i < CPU_SETSIZE; i++) {
        const unsigned now = load[i].awake * AWAKE_UNIT;

        g.awake[i] = (g.awake[i] * (AWAKE_TICKS - 1) + now) / AWAKE_TICKS;
    }
    if (!mover)
        mover = one_of_a_crowd(wall_ns, &to);
    if (mover) {
        mover->cpu = to;
        mover->starved = 0;
        mover->hold = mover->backoff;
        mover->backoff = MIN(mover->backoff * 2, (unsigned)HOLD_MAX);
        pin(mover->thread, to);
        pin(mover->partner, to);
    }
    mutex_unlock(&g.lock);
    return active != 0;
}

static void *balancer_main(void *arg)
{
    uint64_t last = now_ns(), now;
    unsigned quiet = 0;

    (void)arg;
    placement_unpin_self();
    for (;;) {
        uint64_t tick = TICK_NS * (1u + g.count / PAIRS_PER_TICK_UNIT);
        struct timespec ts = {.tv_nsec = (long)tick};

        if (tick >= 1000000000u)
            ts = (struct timespec){.tv_sec = 1};
        if (quiet >= IDLE_TICKS) {
            atomic_store(&g_placement_idle, 1);
            while (atomic_load(&g_placement_idle))
                (void)syscall(SYS_futex, &g_placement_idle, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
            quiet = 0;
            last = now_ns();
        }
        (void)nanosleep(&ts, NULL);
        now = now_ns();
        if (balance(now - last))
            quiet = 0;
        else
            quiet++;
        last = now;
    }
    return NULL;
}

/* Caller holds g.lock. Without the thread nothing moves; that is slow, not wrong. */
static void start_balancer(void)
{
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t thread;

    if (g.balancer || g.cpu_count < 2)
        return;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, BALANCER_STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    g.balancer = pthread_create(&thread, &attr, balancer_main, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
}

/* cpu, or the next one that p may use. */
static int allowed_near(const struct placement *p, int cpu)
{
    for (int i = 0; i < CPU_SETSIZE; i++) {
        int at = (cpu + i) % CPU_SETSIZE;

        if (may_use(p, at))
            return at;
    }
    return cpu;
}

void placement_init(struct placement *p)
{
    *p = (struct placement){.cpu = -1, .next_cpu = -1};
    list_init(&p->node);
}

/* Where a new program starts that was begun at cpu. Caller holds g.lock. */
static int least_awake(const struct placement *p, int cpu)
{
    static unsigned awake[CPU_SETSIZE]; /* pairs but p that have something to do this moment */
    const struct placement *other;

    for (int i = 0; i < CPU_SETSIZE; i++)
        awake[i] = 0;
    list_for_each_entry(other, &g.pairs, node) {
        if (other == p || other->cpu < 0 || (atomic_load(other->sleeps) & 1))
            continue;
        awake[other->cpu]++;
        if (other->parted)
            awake[other->look_cpu]++;
    }
    for (int i = 0; i < CPU_SETSIZE && awake[cpu] > 0; i++) {
        if (may_use(p, i) && awake[i] < awake[cpu])
            cpu = i;
    }
    return cpu;
}

void placement_new_program(struct placement *p)
{
    pthread_once(&g_once, init);
    mutex_lock(&g.lock);
    p->next_cpu = p->cpu >= 0 ? least_awake(p, p->cpu) : -1;
    mutex_unlock(&g.lock);
}

void placement_attach(struct placement *p, pid_t partner, const atomic_uint *runs)
{
    const pid_t thread = (pid_t)syscall(SYS_gettid);
    const uint64_t thread_ns = cpu_ns(thread, true);
    int cpu = p->next_cpu >= 0 ? p->next_cpu : sched_getcpu();

    pthread_once(&g_once, init);
    p->next_cpu = -1;
    mutex_lock(&g.lock);
    if (p->attached) {
        settle_times(p);
    } else {
        p->attached = true;
        list_add_tail(&g.pairs, &p->node);
        g.count++;
    }
    start_balancer();
    p->thread = thread;
    p->partner = partner;
    p->thread_ns = thread_ns;
    p->partner_ns = partner_cpu_ns(p);
    p->runs = runs;
    p->sleeps = &g_placement_sleeps;
    p->last_runs = atomic_load(runs);
    p->last_sleeps = atomic_load(&g_placement_sleeps);
    p->last_cpu_ns = 0;
    p->starved = p->hold = 0;
    p->backoff = HOLD_MIN;
    end_parting(p);
    p->cpu = g.cpu_count > 1 && cpu >= 0 && cpu < CPU_SETSIZE ? allowed_near(p, cpu) : -1;
    if (p->cpu >= 0) {
        pin(p->thread, p->cpu);
        pin(partner, p->cpu);
    }
    mutex_unlock(&g.lock);
}

void placement_limit(struct placement *p, const cpu_set_t *cpus)
{
    int cpu;

    pthread_once(&g_once, init);
    mutex_lock(&g.lock);
    p->cpus = *cpus;
    p->limited = true;
    cpu = p->attached && p->cpu >= 0 ? allowed_near(p, p->cpu) : p->cpu;
    if (cpu != p->cpu) {
        settle_times(p);
        p->cpu = cpu;
        p->starved = p->hold = 0;
        if (!p->parted)
            pin(p->thread, cpu);
        pin(p->partner, cpu);
    }
    mutex_unlock(&g.lock);
}

void placement_detach(struct placement *p)
{
    if (t_parted == p)
        t_parted = NULL;
    if (!p->attached)
        return;
    p->attached = false;
    mutex_lock(&g.lock);
    settle_times(p);
    list_del(&p->node);
    g.count--;
    end_parting(p);
    mutex_unlock(&g.lock);
}

bool placement_part(struct placement *p, bool force)
{
    int to = -1;

    mutex_lock(&g.lock);
    if (p->attached && !p->parted && p->cpu >= 0 &&
        (force || MAX(g.active, 1u) + g.parted < g.cpu_count)) {
        for (int i = 0; i < CPU_SETSIZE; i++) {
            if (i != p->cpu && CPU_ISSET(i, &g.allowed) &&
                (to < 0 || g.load[i].pairs < g.load[to].pairs))
                to = i;
        }
    }
    if (to >= 0) {
        settle_times(p);
        p->parted = true;
        p->look_cpu = to;
        g.parted++;
        pin(p->thread, to);
        t_parted = p;
    }
    mutex_unlock(&g.lock);
    return to >= 0;
}

void placement_join(struct placement *p)
{
    mutex_lock(&g.lock);
    if (p->parted) {
        settle_times(p);
        pin(p->thread, p->cpu);
    }
    end_parting(p);
    t_parted = NULL;
    mutex_unlock(&g.lock);
}

void placement_cpu_times(struct placement_times out[CPU_SETSIZE])
{
    struct placement *p;

    pthread_once(&g_once, init);
    mutex_lock(&g.lock);
    list_for_each_entry(p, &g.pairs, node)
        settle_times(p);
    memcpy(out, g.times, sizeof(g.times));
    mutex_unlock(&g.lock);
}

int placement_cpu(void)
{
    int cpu = -1;

    if (unlikely(t_parted != NULL)) {
        mutex_lock(&g.lock);
        if (t_parted->parted)
            cpu = t_parted->cpu;
        mutex_unlock(&g.lock);
    }
    return cpu >= 0 ? cpu : sched_getcpu();
}

void placement_follow(pid_t partner)
{
    int cpu = sched_getcpu();

    pthread_once(&g_once, init);
    if (g.cpu_count > 1 && cpu >= 0 && cpu < CPU_SETSIZE && partner)
        pin(partner, cpu);
}

void placement_unpin_self(void)
{
    pthread_once(&g_once, init);
    if (g.cpu_count > 1)
        (void)sched_setaffinity(0, sizeof(g.allowed), &g.allowed);
}

void placement_wake(void)
{
    static _Thread_local unsigned runs;

    /* A pair alone competes with foreign programs only, and matters only when it is busy. */
    if (g.count < 2 && ++runs % RUNS_ALONE != 0)
        return;
    if (g.balancer && atomic_exchange(&g_placement_idle, 0))
        (void)syscall(SYS_futex, &g_placement_idle, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
