/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the seccomp back end; see platform/README.md, "seccomp". */
#pragma once

#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "platform/base/placement.h"
#include "platform/platform.h"
#include "platform/seccomp/layout.h"
#include "platform/stub/call.h"
#include "platform/stub/rseq.h"
#include "platform/stub/slots.h"
#include "platform/stub/space.h"
#include "sentry/abi/signal.h"

/* Where a guest thread's stub is. */
enum thread_state {
    THREAD_NONE,  /* no process */
    THREAD_CALL,  /* rang with a system call, waits for its result */
    THREAD_LANE,  /* asked with a system call in its slot, looks or rings for its result */
    THREAD_FRAME, /* rang from start or signal handler; its registers are in its slot's frame */
    THREAD_GUEST, /* runs guest code */
};

/*
 * The host process that runs one guest thread. By value: it is moved between ctx and space. Used by
 * one sentry thread at a time.
 */
struct thread {
    enum thread_state state;
    pid_t pid;
    int listener;  /* its own seccomp notifications */
    uint32_t slot; /* of platform.stacks: alternate signal stack, shared with the sentry */
    uint64_t id;   /* CALL, FRAME, LANE that rang: the notification that waits */
    bool rang;     /* LANE: the notification is here */
    struct seccomp_data call; /* CALL, LANE */
    uint32_t frame;           /* FRAME: offset in the slot of a struct lx_rt_sigframe; 0: none */
    uint32_t fpstate;         /* FRAME: offset in the slot of its XSAVE image; 0: none */
    struct stub_rseq rseq;
    uint64_t fs_base, gs_base; /* what the thread has, as far as the sentry can know */
};

/* A control stub: see stub_code.S. Driven under the lock of the space it belongs to. */
struct control {
    pid_t pid;     /* 0: none */
    int report_fd; /* eventfd; -1: none */
    uint32_t page; /* slot of platform.requests */
    uint32_t seq;  /* of the last request */
    int cpu;       /* where it was brought to */
};

/* Where FPU state comes from at the next run. */
enum ctx_fpu {
    CTX_FPU_OWN,     /* what the thread has is right */
    CTX_FPU_RESET,   /* initial state */
    CTX_FPU_PENDING, /* xs_pending holds it */
};

/* Addresses in guest address spaces, after the instruction where it is one of a call. */
struct stub_address {
    uaddr_t first, setup, setup_end, handler, bell, start, set_fs, set_gs, sigreturn, rseq, unrseq;
};

/* Keys: I immutable, M ->master_lock */
struct platform {
    struct stub_platform base;
    uaddr_t stub_base;         /* I */
    struct stub_address at;    /* I */
    struct slots requests;     /* request pages of control stubs */
    struct slots stacks;       /* slots of guest threads */
    struct slots code;         /* pages of lane code, entries and changed guest code */
    struct pages *pages;       /* I: who uses them; sites.c */
    size_t stack_size;         /* I: of a slot, what is signal stack; rseq: a page more */
    uint32_t slot_how;         /* I: SLOT_HOW_*: how segment bases are set */
    bool reads_bases;          /* I: the signal handler tells the segment bases */
    bool recv_ends;            /* I: receiving ends when the stub does (6.11) */
    uint32_t xstate_size;      /* I: of the XSAVE image in signal frames */
    struct lx_fpx_sw_bytes sw; /* I: what the host writes behind it */
    uint32_t mxcsr_mask;       /* I */
    struct mutex master_lock;
    struct control master; /* M: what empty address spaces are copied from */
};
static_assert(offsetof(struct platform, base) == 0, "stub_platform_of");

enum { SPARE_MAX = 4 };

enum { ROOM_MAX = 4, SITE_MAX = ROOM_MAX * ENTRY_COUNT };

/* A changed call site; its entry is the one of the same index. */
struct site {
    uaddr_t start;  /* the instruction that was replaced */
    uaddr_t ip;     /* after the system call instruction */
    uint32_t nr;    /* the call that was seen there */
    bool sets_nr;   /* the replaced instruction sets rax to it */
    uint8_t length; /* of the replaced instruction */
};

/* Changed call sites of one space. Keys: s space->base.lock, a atomic */
struct sites {
    atomic_bool off; /* a: written under s */
    struct room {
        _Atomic uaddr_t addr; /* a: written under s */
        uint32_t entries;     /* s: page of platform.code */
        unsigned count;       /* s: of its entries that are used */
        bool mapped;          /* s: false: to be mapped again before use */
        bool gone;            /* s: an earlier program's: only for threads that stand in it */
    } rooms[ROOM_MAX];
    atomic_uint room_count; /* a: written under s */
    atomic_uint generation; /* a: changes when versions go */
    struct site *all;       /* s: ENTRY_COUNT for each room */
    struct version {
        uaddr_t page;
        uint32_t copy;                    /* page of platform.code */
    } * versions;                         /* s: changed pages that are mapped */
    unsigned version_count, version_room; /* s */
    /* s: pages of platform.code that the host may have mapped until the next drain */
    struct slot_stack dead;
};

/*
 * Lifetime: unique (space_new, space_clone .. space_free, which may keep it in the pool).
 * Keys: I immutable, s ->base.lock
 */
struct platform_space {
    struct stub_space base;
    struct platform *platform;       /* I */
    struct control control;          /* s */
    struct thread spares[SPARE_MAX]; /* s: threads without a ctx, of this address space */
    unsigned spare_count;            /* s */
    struct slot_stack slots;         /* s: mapped here, and no thread has them */
    struct sites sites;              /* s; rooms also a, see there */
};
static_assert(offsetof(struct platform_space, base) == 0, "stub_space_of");

/* What the watchdog looks at; see watch.c. Keys: a atomic, w its lock */
struct watch {
    struct list node;      /* w: while pid is not 0 */
    atomic_int pid;        /* a: written under w */
    atomic_uint kicked;    /* a: seq of the run that should have been left soon; 0: none */
    atomic_bool pulled;    /* a: the handler should have rung soon */
    unsigned pull_ticks;   /* w */
    unsigned seq;          /* w: of the run that start_cpu_ns belongs to */
    uint64_t start_cpu_ns; /* w */
};

/* How often calls came from where, lately. */
struct hot_calls {
    unsigned generation; /* of the space's sites: later than that, all are cold again */
    bool warm;           /* a site was hot before */
    struct {
        uaddr_t ip;
        uint32_t count; /* SITE_IS_HOT: that many, which count no more */
    } at[64];
#define SITE_IS_HOT UINT32_MAX
};

/* See lane.c. Times in cycles of the CPU's counter. Key: O owner thread of the ctx */
struct lane {
    bool open;         /* O: the pair is parted, the slot says OPEN between requests */
    bool lost;         /* O: somebody else had the CPU while the owner looked */
    unsigned streak;   /* O: calls in a row that could have come through the slot */
    unsigned served;   /* O: requests since it opened */
    unsigned sleeps;   /* O: of the owner thread, when guest code was left */
    uint64_t answered; /* O: when guest code was entered */
    uint64_t taken;    /* O: when the request was taken that waits for its result; 0: none */
    uint64_t owner_looked, guest_looked; /* O: not told yet; see struct platform_event */
    uint64_t not_before;                 /* O: no opening until then */
    uint64_t backoff;                    /* O */
};

/* Lifetime: unique (ctx_new .. ctx_free). Keys: O owner thread, a atomic, s space->base.lock */
struct platform_ctx {
    struct platform *platform;    /* I */
    struct platform_space *space; /* O, and s */
    struct list node;             /* s */
    struct thread thread;         /* O */
    atomic_uint slot;             /* a: thread.slot, for others */
    bool attached;                /* O: paired with the owner by placement */
    bool all_regs;                /* O: the next run takes all registers, see platform.h */
    struct lx_regs held;          /* O: FRAME without all_regs: what the caller has not pulled */
    enum ctx_fpu fpu;             /* O */
    void *xs_pending;             /* O: xstate image */
    atomic_uint seq;              /* a: odd while the stub may run guest code */
    atomic_uint interrupt;        /* a */
    struct lazy lazy;             /* O */
    struct placement place;       /* O */
    struct hot_calls hot;         /* O */
    struct lane lane;             /* O */
    struct watch watch;
};

/* The signal that brings a stub out of guest code. */
#define STUB_KICK_SIGNAL LX_SIGURG

/* --- control.c --- */

/* The list of calls that the next request starts with: room for CALL_MAX. */
struct stub_call *seccomp_control_calls(struct platform *p, struct control *k);
/* Its page of requests, while it has one. */
uint8_t *seccomp_control_page(struct platform *p, const struct control *k);
/* Runs count calls of the list and then command (COMMAND_*). Returns the number that the stub
 * reported, or -errno of what failed; *out_done: how many calls succeeded. -ESRCH with k->pid == 0:
 * the stub is dead. */
int MUST_CHECK seccomp_control_run(struct platform *p, struct control *k, uint32_t command,
                                   uint32_t count, uint32_t *out_done);
/* One munmap. */
int MUST_CHECK seccomp_control_unmap(struct platform *p, struct control *k, uaddr_t addr,
                                     uint64_t size);
/* A control stub with a copy of from's address space. */
int MUST_CHECK seccomp_control_fork(struct platform *p, struct control *from, struct control *out);
/* Prepares page and eventfd. */
int MUST_CHECK seccomp_control_prepare(struct platform *p, struct control *k);
/* Ends it without waiting. Its page stays: threads of the space still use it (REQ_WAITERS). */
void seccomp_control_end(struct control *k);
/* The same, and its page goes: no thread is left. *k becomes none. */
void seccomp_control_kill(struct platform *p, struct control *k);

/* --- master.c --- */
int MUST_CHECK seccomp_master_start(struct platform *p, const char **out_why);

/* --- filter.c --- */

/* The data pages of the stub: report tables and the filters of guest threads. */
int MUST_CHECK seccomp_data_build(const struct platform *p, uint8_t data[STUB_DATA_SIZE]);

/* --- thread.c --- */

/* A new process for a guest thread of s, in state FRAME without a frame. Caller holds s->base.lock. */
int MUST_CHECK seccomp_thread_new_locked(struct platform_space *s, struct thread *out)
    REQUIRES(s->base.lock);
/* Ends it. *t becomes none, its slot goes back to s. */
void seccomp_thread_kill_locked(struct platform_space *s, struct thread *t) REQUIRES(s->base.lock);
/* CALL, FRAME -> GUEST: value is the result of the pending notification. -ENOENT: a signal was
 * faster, the thread will ring again from its handler. -ESRCH: it is dead. */
int MUST_CHECK seccomp_thread_reply(struct thread *t, int64_t value);
/* Waits for the next ring. -ESRCH: it is dead. */
int MUST_CHECK seccomp_thread_receive(const struct platform *p, struct thread *t,
                                      struct seccomp_notif *out);
void seccomp_thread_kick(pid_t pid);

/* --- frame.c --- */

/* Takes the frame of a ring from the signal handler: state FRAME. All of it was written where
 * guests can write too, at *frame is the sentry's copy. -EPROTO: no frame the host kernel would
 * have made. */
int MUST_CHECK seccomp_frame_take(const struct platform *p, struct thread *t,
                                  const struct seccomp_notif *n, struct lx_rt_sigframe *frame);
void seccomp_frame_regs(const struct thread *t, const struct lx_rt_sigframe *frame,
                        struct lx_regs *regs);
/* Makes the slot say what rt_sigreturn shall load. */
void seccomp_frame_commit(const struct platform *p, struct platform_ctx *c,
                          const struct lx_regs *regs);
/* The XSAVE image of a thread in state FRAME. */
void seccomp_frame_xstate(const struct platform *p, const struct thread *t, void *buf, size_t size);
uaddr_t seccomp_slot_addr(const struct platform *p, uint32_t slot);
/* Of all slots, with their aliases. */
uint64_t seccomp_slots_size(const struct platform *p);
/* Finds out what signal frames of this host look like. */
int MUST_CHECK seccomp_frame_init(struct platform *p);

/* --- space.c --- */

/* A thread for a ctx of s, fresh or used. Caller holds s->base.lock. */
int MUST_CHECK seccomp_space_take_thread_locked(struct platform_space *s, struct thread *out)
    REQUIRES(s->base.lock);
/* The alias of a thread that goes while its slot stays mapped in the memory of others. */
void seccomp_space_drop_alias_locked(struct platform_space *s, struct stub_rseq *r)
    REQUIRES(s->base.lock);
/* c leaves s for good; its thread is kept or killed. */
void seccomp_space_leave(struct platform_space *s, struct platform_ctx *c);

int seccomp_space_new(struct platform *p, struct platform_space **out);
int seccomp_space_clone(struct platform_space *from, struct platform_ctx *caller,
                        struct platform_space **out);
void seccomp_space_free(struct platform_space *s);
void seccomp_space_barrier(struct platform_space *s);
/* Frees pooled spaces (stop). */
void seccomp_pool_drop(struct platform *p);

/* --- ctx.c --- */

int seccomp_ctx_new(struct platform_space *s, struct platform_ctx *creator,
                    struct platform_ctx **out);
void seccomp_ctx_free(struct platform_ctx *c);
int seccomp_ctx_switch_space(struct platform_ctx *c, struct platform_space *s);
int seccomp_ctx_run(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *out);
void seccomp_ctx_regs_pull(struct platform_ctx *c, struct lx_regs *regs);
void seccomp_ctx_interrupt(struct platform_ctx *c);
int seccomp_ctx_xstate_get(struct platform_ctx *c, void *buf, size_t size);
int seccomp_ctx_xstate_set(struct platform_ctx *c, const void *buf, size_t size);
int seccomp_ctx_cpu_clock(struct platform_ctx *c);
void seccomp_ctx_set_cpus(struct platform_ctx *c, const cpu_set_t *cpus);
int seccomp_ctx_rseq(struct platform_ctx *c, int fd, uint64_t offset, uint32_t sig);
int seccomp_ctx_xstate_copy(struct platform_ctx *dst, struct platform_ctx *src);

/* --- sites.c --- */

int MUST_CHECK seccomp_sites_init(struct platform *p);
void seccomp_sites_destroy(struct platform *p);
enum site_heat {
    SITE_COLD,
    SITE_HOT,  /* this call made it hot: it should be offered */
    SITE_DONE, /* it was offered */
};
/* Counts a call. */
enum site_heat seccomp_site_heat(struct platform_ctx *c, uaddr_t ip);
int seccomp_space_site(struct platform_space *s, const struct platform_site *site);
int seccomp_space_room(struct platform_space *s, uaddr_t addr);
void seccomp_space_sites_off(struct platform_space *s);
/* The caller maps or unmaps the range: versions in it go with what was there. */
int MUST_CHECK seccomp_sites_changed_locked(struct platform_space *s, uaddr_t addr, size_t size)
    REQUIRES(s->base.lock);
/* Versions in the range are unmapped (queue); the guest's own pages come back by faults. */
int MUST_CHECK seccomp_sites_hide_locked(struct platform_space *s, uaddr_t addr, size_t size)
    REQUIRES(s->base.lock);
/* The host has applied all changes: pages that only old mappings used are free. */
void seccomp_sites_drained_locked(struct platform_space *s) REQUIRES(s->base.lock);
/* The host's mappings below the stub are gone. all: the guest's program too (exec). */
void seccomp_sites_dropped_locked(struct platform_space *s, bool all) REQUIRES(s->base.lock);
/* And its threads. */
void seccomp_sites_reset_locked(struct platform_space *s) REQUIRES(s->base.lock);
int MUST_CHECK seccomp_sites_clone_locked(struct platform_space *to, struct platform_space *from)
    REQUIRES(from->base.lock);
void seccomp_sites_free(struct platform_space *s);
/* The part of platform.code that every room shows first. */
extern const uint8_t g_lane_code[], g_lane_number[], g_lane_published[], g_lane_bell[],
    g_lane_closed[], g_lane_jump[], g_lane_any[], g_lane_futex[], g_lane_answered[],
    g_lane_indices[], g_lane_code_end[];

/* --- settle.c --- */

void seccomp_ctx_answers(struct platform_ctx *c, const struct platform_answer *answers,
                         unsigned count);
atomic_uint *seccomp_space_waiters(struct platform_space *s);
/* Is ip where lane code rings for the result of a request? */
bool seccomp_site_rings(const struct platform_space *s, uaddr_t ip);
/* Registers of a frame whose rip may be in entries or lane code: makes them those before or after
 * the call. True: it was there. */
bool seccomp_site_settle(struct platform_ctx *c, struct lx_regs *regs);

/* --- lane.c --- */

/* Finds out how fast this machine looks. Once. */
void seccomp_lane_init(enum platform_lanes lanes);
/* How many calls make a site hot. */
unsigned seccomp_lane_hot_calls(bool warm);
/* For SLOT_SPINS: how often lane code looks before it rings. */
uint32_t seccomp_lane_spins(void);
/* A call came by notification. */
void seccomp_lane_note_call(struct platform_ctx *c, bool could_ask);
/* Before guest code is entered, when its seq is odd: opens or closes. */
void seccomp_lane_enter(struct platform_ctx *c);
/* LANE -> GUEST: puts the result into the slot. A stub that rings, or rang, gets an answer too. */
void seccomp_lane_answer(struct platform_ctx *c, uint64_t result);
/* Looks for a request: true: it is in c->thread.call. Else the stub rings, or will, or runs on. */
bool seccomp_lane_wait(struct platform_ctx *c);
/* Is there a request in the slot that the owner has not taken? */
bool seccomp_lane_asks(const struct platform_ctx *c);
/* Takes it. State LANE. */
void seccomp_lane_take(struct platform_ctx *c);
/* How long was looked, since this was asked last. */
void seccomp_lane_tell(struct platform_ctx *c, struct platform_event *ev);
/* The slot is closed, whatever it says; the pair is together again. */
void seccomp_lane_close(struct platform_ctx *c);

/* --- watch.c --- */

/* The ctx that embeds w has the stub pid from here to seccomp_watch_end. */
void seccomp_watch_begin(struct watch *w, pid_t pid);
void seccomp_watch_end(struct watch *w);
/* The run with that number, odd, was kicked. Any thread. */
void seccomp_watch_kicked(struct watch *w, unsigned seq);
/* From here on, until false is said, the handler has to ring. */
void seccomp_watch_pull(struct watch *w, bool waits);
/* Ends the stub. Any thread. */
void seccomp_watch_kill(struct watch *w);

/* --- probe.c --- */
int seccomp_probe(struct platform_probe *out);
int seccomp_start(const struct platform_config *config, struct platform **out);
