/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hand-over of calls through the slot: while the lane is open, guest code at changed call sites
 * writes its request there (lane_code.S) and the owner thread, on another CPU, looks for it; neither
 * makes a host call. This file is the sentry's half, and the policy of when that pays.
 *
 * State word of the slot, shared with guest code that may write anything to it at any time:
 *
 *   CLOSED --owner, opens--> OPEN --guest--> (CLOSED) --guest--> REQUEST --owner, result--> OPEN
 *                                                         |                          or CLOSED
 *                                                         '--guest, tired--> SLEEP, then rings
 *
 * OPEN is taken away by an atomic bit operation on both sides, so either the guest asks or the owner
 * knows that it will ring. What a guest can do by writing the word itself: miss a result, get one
 * twice, make its owner thread look or wait for its bell; all of which is its own loss, as the owner
 * is in guest code by seq meanwhile and every kick leads to a ring. All that is read from the slot
 * is copied once and means what registers of a call would mean.
 *
 * The stub rings (LANE -> SLEEP) when a result takes longer than LOOK_US. So calls that block cost a
 * notification, as always.
 *
 * Policy. A wake-up between CPUs costs more than ten calls on one; looking costs a CPU. So a lane
 * opens only
 *   - after STREAK calls in a row from changed sites, none of which made its thread sleep, with at
 *     most SOON_US between them: a program in a loop of quick calls;
 *   - when a CPU is free for it: placement_part knows how many pairs do anything;
 *   - when the last opening is long enough ago: the time doubles with each that served few, and is longer
 *     when somebody else wanted the CPU.
 * The numbers are what starts of compilers and interpreters taught: their calls come in bursts of twenty to a hundred, with half a
 * millisecond between them, and a lane that waits for the next burst serves three of five calls of `gcc -c`.
 * It closes, and the pair comes together on one CPU again, when the guest is silent for STAY_US, when
 * it rings for anything else (a fault, a call from a place that was not changed), when a call sleeps
 * or its result takes too long, when the owner lost its CPU while it looked (somebody else needs
 * it), and when pairs begin to need the CPUs. An idle sandbox looks for nothing. --lanes=eager opens
 * after any call that could have asked, which pays for nobody but shows what goes wrong.
 */
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "platform/host/file.h"
#include "platform/seccomp/seccomp_internal.h"

enum {
    HOT_CALLS = 24, /* changing a site costs as much as some ten calls */
    WARM_CALLS = 6, /* for the next sites, since a call from any other place closes the lane */
    STREAK = 6,
    SOON_US = 25,
    LOOK_US = 20, /* of the guest, for a result */
    STAY_US =
        300, /* of the owner, for the next request: some times what opening costs, which is mostly the wake-up of the other CPU */
    LOST_US = 60, /* a gap between two looks that was no look */
    FEW_SERVED = 16,
    BACKOFF_MIN_US = 50,
    LOST_FEW_SERVED = 64, /* the same two when the CPU was lost to somebody else */
    LOST_BACKOFF_MIN_US = 500,
    BACKOFF_MAX_US = 200000,
    LOOKS_PER_CHECK = 32, /* looks between looks at anything else */
    WRITE_LOOKS = 200,    /* while a request is being written */
};

/* Set once by seccomp_lane_init. */
static enum platform_lanes g_lanes;
static uint64_t g_cycles_per_us = 1000;
static uint32_t g_spins = 1;

static inline uint64_t cycles(void)
{
    return __builtin_ia32_rdtsc();
}

static inline void relax(void)
{
    __builtin_ia32_pause();
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void calibrate(void)
{
    enum { ROUNDS = 3, SPINS = 2000 };
    uint64_t best_ns = UINT64_MAX;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t ns = now_ns(), before = cycles(), took;

        for (int i = 0; i < SPINS; i++)
            relax();
        took = now_ns() - ns;
        /* A round that was interrupted says too many cycles and too much time alike. */
        if (took > 0 && took < best_ns) {
            best_ns = took;
            g_cycles_per_us = MAX((cycles() - before) * 1000 / took, 1ul);
        }
    }
    g_spins = (uint32_t)MAX((uint64_t)SPINS * LOOK_US * 1000 / best_ns, 1ul);
}

void seccomp_lane_init(enum platform_lanes lanes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    g_lanes = lanes;
    pthread_once(&once, calibrate);
}

unsigned seccomp_lane_hot_calls(bool warm)
{
    return g_lanes == PLATFORM_LANES_OFF     ? UINT_MAX
           : g_lanes == PLATFORM_LANES_EAGER ? 2
           : warm                            ? WARM_CALLS
                                             : HOT_CALLS;
}

uint32_t seccomp_lane_spins(void)
{
    return g_spins;
}

static inline uint64_t us(uint64_t n)
{
    return n * g_cycles_per_us;
}

static uint8_t *slot_of(const struct platform_ctx *c)
{
    return slots_at(&c->platform->stacks, c->thread.slot);
}

static atomic_uint *state_of(const struct platform_ctx *c)
{
    return (atomic_uint *)(void *)(slot_of(c) + SLOT_LANE); /* SAFETY: slots are page aligned */
}

/* --- policy --- */

void seccomp_lane_close(struct platform_ctx *c)
{
    struct lane *l = &c->lane;
    uint64_t least;

    l->streak = 0;
    if (!l->open)
        return;
    l->open = false;
    (void)atomic_fetch_and(state_of(c), ~(unsigned)LANE_OPEN);
    placement_join(&c->place);
    least = us(l->lost ? LOST_BACKOFF_MIN_US : BACKOFF_MIN_US);
    if (l->served >= (l->lost ? LOST_FEW_SERVED : FEW_SERVED))
        l->backoff = least;
    else if (g_lanes != PLATFORM_LANES_EAGER)
        l->backoff = MIN(MAX(l->backoff * 2, least), us(BACKOFF_MAX_US));
    l->lost = false;
    l->not_before = cycles() + l->backoff;
}

static bool slept(const struct platform_ctx *c)
{
    /* relaxed: the thread's own count */
    return atomic_load_explicit(&g_placement_sleeps, memory_order_relaxed) != c->lane.sleeps;
}

void seccomp_lane_note_call(struct platform_ctx *c, bool could_ask)
{
    struct lane *l = &c->lane;

    if (unlikely(l->open))
        seccomp_lane_close(c);
    if (could_ask && cycles() - l->answered < us(SOON_US))
        l->streak++;
    else if (could_ask && g_lanes == PLATFORM_LANES_EAGER)
        l->streak = STREAK;
    else
        l->streak = 0;
    l->sleeps = atomic_load_explicit(&g_placement_sleeps, memory_order_relaxed);
}

void seccomp_lane_enter(struct platform_ctx *c)
{
    struct lane *l = &c->lane;

    if (slept(c)) {
        l->streak = 0;
        if (l->open && c->thread.state != THREAD_LANE)
            seccomp_lane_close(c);
    }
    if (unlikely(l->streak >= STREAK) && !l->open && cycles() >= l->not_before) {
        if (placement_part(&c->place, g_lanes == PLATFORM_LANES_EAGER)) {
            l->open = true;
            l->served = 0;
        } else {
            l->not_before = cycles() + us(BACKOFF_MIN_US);
        }
        l->streak = 0;
    }
    if (l->open && c->thread.state != THREAD_LANE)
        atomic_store(state_of(c), LANE_OPEN);
    l->answered = cycles();
    if (l->taken) {
        l->guest_looked += MIN(l->answered - l->taken, us(LOOK_US)); /* then it sleeps */
        l->taken = 0;
    }
}

void seccomp_lane_tell(struct platform_ctx *c, struct platform_event *ev)
{
    ev->owner_looked = c->lane.owner_looked;
    ev->guest_looked = c->lane.guest_looked;
    c->lane.owner_looked = c->lane.guest_looked = 0;
}

/* --- requests --- */

void seccomp_lane_take(struct platform_ctx *c)
{
    const uint8_t *slot = slot_of(c);
    struct seccomp_data *d = &c->thread.call;
    uint32_t nr;

    memcpy(&nr, slot + SLOT_NR, sizeof(nr));
    d->nr = (int)nr;
    memcpy(d->args, slot + SLOT_ARGS, sizeof(d->args));
    memcpy(&d->instruction_pointer, slot + SLOT_RIP, sizeof(d->instruction_pointer));
    c->thread.state = THREAD_LANE;
    c->thread.rang = false;
    c->lane.served++;
    c->lane.taken = cycles();
    c->lane.sleeps = atomic_load_explicit(&g_placement_sleeps, memory_order_relaxed);
}

bool seccomp_lane_asks(const struct platform_ctx *c)
{
    return atomic_load(state_of(c)) & (LANE_REQUEST | LANE_SLEEP);
}

void seccomp_lane_answer(struct platform_ctx *c, uint64_t result)
{
    atomic_uint *state = state_of(c);
    const bool open = c->lane.open && !slept(c) && !c->thread.rang;
    unsigned expected = LANE_REQUEST;

    memcpy(slot_of(c) + SLOT_ARGS, &result, sizeof(result));
    c->thread.state = THREAD_GUEST;
    if (!atomic_compare_exchange_strong(state, &expected, open ? LANE_OPEN : LANE_CLOSED))
        atomic_store(state, LANE_CLOSED); /* it rings */
    else if (open)
        return;
    seccomp_lane_close(c);
}

/* A look that began when guest code was entered has found a request. */
static bool found(struct platform_ctx *c)
{
    seccomp_lane_take(c);
    c->lane.owner_looked += c->lane.taken - c->lane.answered;
    return true;
}

/* Anything but a request that the owner should look at? */
static bool look_elsewhere(struct platform_ctx *c)
{
    struct pollfd pfd = {.fd = c->thread.listener, .events = POLLIN};
    const struct timespec now = {0};

    return atomic_load(&c->interrupt) ||
           (atomic_load(&g_placement_crowded) && g_lanes != PLATFORM_LANES_EAGER) ||
           host_ppoll(&pfd, 1, &now) != 0;
}

bool seccomp_lane_wait(struct platform_ctx *c)
{
    atomic_uint *state = state_of(c);
    uint64_t last = c->lane.answered, now = last;

    for (unsigned i = 1;; i++) {
        /* acquire: pairs with the guest's store after its arguments */
        unsigned s = atomic_load_explicit(state, memory_order_acquire);

        if (s == LANE_REQUEST)
            return found(c);
        if (s != LANE_OPEN && s != LANE_CLOSED)
            break;
        relax();
        if (i % LOOKS_PER_CHECK)
            continue;
        now = cycles();
        c->lane.lost = now - last > us(LOST_US);
        if (c->lane.lost || now - c->lane.answered > us(STAY_US) || look_elsewhere(c))
            break;
        last = now;
    }
    if (!(atomic_fetch_and(state, ~(unsigned)LANE_OPEN) & LANE_OPEN)) {
        for (int i = 0; i < WRITE_LOOKS; i++) {
            if (atomic_load_explicit(state, memory_order_acquire) == LANE_REQUEST)
                return found(c);
            relax();
        }
    }
    c->lane.owner_looked += now - c->lane.answered;
    seccomp_lane_close(c);
    return false;
}
