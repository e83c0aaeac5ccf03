/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which CPU a pair runs on. A pair is a sentry thread and the host process or virtual CPU that runs
 * its guest code. The two never run at the same time: each hand-over is a wake-up of the other
 * half, and a wake-up on the same CPU costs 3-4 us where one that crosses to an idle CPU costs 95
 * us. So:
 *
 *  - both halves are pinned to one CPU;
 *  - a pair starts on the CPU of the thread that created it, because parent and child, or threads,
 *    talk to each other first, and pipe and futex hand-overs between pairs cost the same as above;
 *  - a pair that begins a new program (exec) goes to the CPU where the fewest pairs are awake, if that
 *    is fewer than where it is: programs compute, and talk less than what one program's threads and
 *    forked children say to each other. A parent that only waits for it is asleep and does not count,
 *    so a shell's commands stay with the shell, and the jobs of make -j spread;
 *  - a pair whose guest may use some CPUs only (sched_setaffinity, cpusets) starts on one of them
 *    and moves among them;
 *  - a thread that looks for its partner's requests all the time instead of sleeping (a parted pair)
 *    has a CPU of its own, while there are more CPUs than pairs that do anything;
 *  - a balancer thread moves a pair that wants to compute but does not get its CPU, be it because of
 *    other pairs or of foreign programs on the host. "Wants" is: in guest code or executing calls
 *    without sleeping; "does not get": less than three quarters of the wall time, over several
 * ticks. A pair that sleeps and wakes often is left alone: it is talking to a neighbour; unless on
 * average two pairs more are awake on its CPU than on another.
 *
 * The balancer ticks only while some pair is active, so an idle sandbox has no wake-ups. It needs
 * no cooperation from guest code. Lock: one leaf lock over the table of pairs.
 */
#pragma once

#include <sched.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/list.h"

/* Lifetime: embedded in the platform's ctx. Keys: L leaf lock of placement.c, I set by attach */
struct placement {
    bool attached;                   /* the owner's */
    struct list node;                /* L; on no list while detached */
    pid_t thread, partner;           /* L */
    int cpu;                         /* L: -1 when unpinned */
    int look_cpu;                    /* L: the thread's own while parted */
    int next_cpu;                    /* of the new program; -1: as the thread. The thread's */
    cpu_set_t cpus;                  /* L: where it may run, if limited */
    bool limited;                    /* L */
    bool parted;                     /* L: the thread is on another CPU than cpu */
    const atomic_uint *runs;         /* I: odd while guest code runs; changes with every run */
    atomic_uint *sleeps;             /* I: the thread's g_placement_sleeps */
    unsigned last_runs, last_sleeps; /* L: at the last tick */
    uint64_t last_cpu_ns;            /* L */
    uint64_t thread_ns, partner_ns;  /* L: of their CPU time, what is in the CPUs' */
    unsigned starved;                /* L: ticks in a row without its share */
    unsigned hold;                   /* L: ticks before it may move again */
    unsigned backoff;                /* L: next hold */
};

/* A struct that is attached to nothing. */
void placement_init(struct placement *p);
/* The calling thread and partner (a host pid; itself, if it runs guest code of its own) form a pair on the
 * calling thread's CPU. Its whole time counts as the guest's then. runs must
 * outlive the pair. Replaces an earlier partner. */
void placement_attach(struct placement *p, pid_t partner, const atomic_uint *runs);
/* The calling thread's guest begins a new program: the next attach takes it to the CPU that has least to
 * do now. */
void placement_new_program(struct placement *p);
/* Any thread may end a pair; the thread keeps its CPU until it attaches again. */
void placement_detach(struct placement *p);

/* Where the pair may run, now and after later attaches. Any thread. */
void placement_limit(struct placement *p, const cpu_set_t *cpus);

/* The calling thread, half of p, goes to a CPU that nobody seems to need. False: there is none.
 * force: to any other. */
bool placement_part(struct placement *p, bool force);
/* And comes back. */
void placement_join(struct placement *p);
/* The CPU of the calling thread's guest code, which a parted thread is not on. Negative: unknown. */
int placement_cpu(void);
/* CPU time of all pairs ever, by the CPU where it was used, in ns. */
struct placement_times {
    uint64_t thread, partner;
};
void placement_cpu_times(struct placement_times out[CPU_SETSIZE]);
/* Parted pairs should join: the CPUs do not suffice any more. */
extern atomic_bool g_placement_crowded;

/* Brings another process to the calling thread's CPU, for a short exchange with it. */
void placement_follow(pid_t partner);
/* For threads that are no half of a pair: undoes the pinning inherited from the creating thread. */
void placement_unpin_self(void);

/* Counts the calling thread's sleeps, twice each: odd while it sleeps. */
extern _Thread_local atomic_uint g_placement_sleeps;
/* Called by whoever puts the calling thread to sleep for an event (not for its partner), before and
 * after. */
static inline void placement_note_sleep(void)
{
    /* relaxed: a statistic of this thread, read by the balancer. */
    atomic_fetch_add_explicit(&g_placement_sleeps, 1, memory_order_relaxed);
}

/* Called before each run of guest code: wakes the balancer if it sleeps. */
extern atomic_uint g_placement_idle;
void placement_wake(void);
static inline void placement_running(void)
{
    /* relaxed: missing it once delays the balancer by one run. */
    if (unlikely(atomic_load_explicit(&g_placement_idle, memory_order_relaxed)))
        placement_wake();
}
