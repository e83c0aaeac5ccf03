/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the ptrace back end; see platform/README.md, "ptrace". */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "platform/base/placement.h"
#include "platform/partial.h"
#include "platform/platform.h"
#include "platform/ptrace/layout.h"
#include "platform/stub/rseq.h"
#include "platform/stub/slots.h"
#include "platform/stub/space.h"

/*
 * A host process that lends its address space to guest code. By value: it is moved between ctx,
 * space and pool. Exactly one thread traces it while `seized`; otherwise it waits in stub code.
 */
struct stub {
    pid_t pid;            /* 0: none */
    bool seized;          /* stopped, and traced by the owner's thread */
    unsigned yield_pause; /* stops to be waited for asleep instead of by yielding */
};

/* Where its registers and FPU state come from before the first run. */
enum ctx_fpu {
    CTX_FPU_OWN,     /* what the stub holds is right */
    CTX_FPU_RESET,   /* unknown leftovers: must be initialised before guest code runs */
    CTX_FPU_PENDING, /* xs_pending holds the state to load */
};

/* Keys: I immutable, M ->master_lock */
struct platform {
    struct stub_platform base;
    uaddr_t stub_base;     /* I */
    struct slots requests; /* request pages */
    struct slots aliases;  /* what aliases of stub/rseq.h show without a guest's area */
    uint32_t report_slot;  /* I: where the master reports its start */
    struct mutex master_lock;
    struct stub master; /* M: never runs guest code; empty address spaces are cloned from it */
};
static_assert(offsetof(struct platform, base) == 0, "stub_platform_of");

/*
 * Lifetime: unique (space_new, space_clone .. space_free, which may keep it in the pool).
 * Keys: I immutable, s ->base.lock, a atomic
 */
struct platform_space {
    struct stub_space base;
    struct platform *platform; /* I */
    struct stub spare;         /* s: a parked stub of this address space, for the first ctx */
    struct platform_ctx *spare_parent; /* s: whose FPU state the spare inherited, or NULL */
    unsigned spare_parent_seq;         /* s */
    uint64_t drain_count;              /* s: times the queue was emptied */
    uint32_t slot;                     /* s: request page; SLOT_NONE until needed */
    bool slot_mapped;                  /* s: the stub sees it */
    atomic_uint barrier_waiters;       /* a */
    struct cond left_guest;            /* with s */
};
static_assert(offsetof(struct platform_space, base) == 0, "stub_space_of");

/*
 * Lifetime: unique (ctx_new .. ctx_free). Keys: I immutable, O owner thread, a atomic,
 * s space->base.lock
 */
struct platform_ctx {
    struct platform_space *space;    /* O, and s */
    struct list node;                /* s */
    struct stub stub;                /* O */
    atomic_int host_pid;             /* a: the stub's pid for ctx_kick, 0 when it has none */
    struct lx_regs hw;               /* O: what the stopped stub's registers hold */
    bool hw_valid;                   /* O */
    enum ctx_fpu fpu;                /* O */
    void *xs_pending;                /* O: xstate image */
    struct stub_rseq rseq;           /* O */
    uint32_t rseq_slot;              /* O: of platform.aliases, SLOT_NONE: none yet */
    struct platform_ctx *fpu_parent; /* O: compared only, never followed */
    unsigned fpu_parent_seq;         /* O */
    atomic_uint seq;                 /* a: odd while the stub may run guest code */
    struct partial_regs partial;     /* O: used in debug builds */
    atomic_uint interrupt;           /* a */
    struct lazy lazy;                /* O */
    struct placement place;          /* O */
};

/* --- stub.c: one stub process --- */

/* Below the stub base, above what guests may use: where stubs have their aliases. The first page stays
 * free, so that changes there and of the guest's memory never become one. */
#define ALIASES_SIZE ((uaddr_t)(SLOT_COUNT + 1) * STUB_PAGE)

/* The signal that brings a stub out of guest code. Ignored by default, so a parked stub survives.
 */
#define STUB_KICK_SIGNAL SIGURG

/* Addresses of stub code in guest address spaces. */
struct stub_entry {
    uaddr_t park, park_end, call, call_end, clone, clone_end, batch, batch_end, pair, pair_end,
        pair_fail_end;
};
extern struct stub_entry g_stub_entry;
void stub_entry_init(uaddr_t stub_base);

/* Stops it under the calling thread. -ESRCH: it is gone. -EPERM: the host forbids it. */
int MUST_CHECK stub_seize(struct stub *s);
/* Lets it go into the park loop, untraced. On failure it is dead. */
void stub_park(struct stub *s);
/* Ends it without waiting. *s becomes none. */
void stub_kill(struct stub *s);
/* After PTRACE_SYSEMU or PTRACE_CONT: waits for the next stop and fetches the registers. Stub and
 * caller share a CPU, so a yield hands over to the stub, and when the caller is picked again the
 * stub has usually stopped: nobody slept, nobody had to be woken (15 % less than wait4). If it has
 * not, or while yields take long because guest code computes or others want the CPU, wait4 is used.
 * -ESRCH: it died. */
int MUST_CHECK stub_wait(struct stub *s, struct lx_regs *r);
/* Runs stub code from *r until it traps; *r holds the registers at the trap. Seized only.
 * -ESRCH: it died (reaped, *s is none); -EFAULT: stub code faulted. */
int MUST_CHECK stub_run(struct stub *s, struct lx_regs *r);
/* Registers for stub code at rip, everything else neutral. */
void stub_regs_init(struct lx_regs *r, uaddr_t rip);
/* One system call. Its result, or -ESRCH when the stub died. */
long stub_syscall(struct stub *s, long nr, const uint64_t args[6]);
/* Two system calls, the second only if the first succeeded. Returns how many succeeded and the
 * error of the other, or -ESRCH, -EFAULT. */
struct stub_args {
    uint64_t nr, arg[6];
};
int MUST_CHECK stub_syscall_pair(struct stub *s, const struct stub_args calls[2], int *out_error);
/* A child of the stub: a process that shares its memory, or has a copy. */
int MUST_CHECK stub_clone(struct stub *s, bool share_memory, struct stub *out);
/* One with a copy, of a stub whose rseq area is unregistered first: the child would inherit it. */
int MUST_CHECK stub_fork_unregistered(struct stub *s, const struct stub_rseq_area *area,
                                      struct stub *out);

/* --- master.c --- */

/* Creates the first stub. why: what failed, for probe. */
int MUST_CHECK master_start(struct platform *p, const char **out_why);
/* An empty address space. */
int MUST_CHECK master_clone(struct platform *p, struct stub *out);

/* --- space.c --- */

/* A stub for a first ctx of s. Caller holds s->base.lock. */
int MUST_CHECK space_take_stub_locked(struct platform_space *s, struct platform_ctx *c)
    REQUIRES(s->base.lock);
/* c leaves s for good: its stub is killed, or cleaned and kept when it was the last. */
void space_leave(struct platform_space *s, struct platform_ctx *c);
/* Called by an owner whose stub left guest code while somebody waits in space_barrier. */
void space_left_guest(struct platform_space *s);

int ptrace_space_new(struct platform *p, struct platform_space **out);
int ptrace_space_clone(struct platform_space *from, struct platform_ctx *caller,
                       struct platform_space **out);
void ptrace_space_free(struct platform_space *s);
void ptrace_space_barrier(struct platform_space *s);
/* Frees pooled spaces (stop). */
void space_pool_drop(struct platform *p);

/* --- ctx.c --- */

/* The ctx that the calling thread ran last, or NULL. */
struct platform_ctx *ctx_current(void);
/* Makes the calling thread the owner: traces the stub, loads pending FPU state. */
int MUST_CHECK ctx_bind(struct platform_ctx *c);
/* Brings it out of guest code if it is there. */
void ctx_kick(struct platform_ctx *c);
/* Ends its stub: its owner's next run says DEAD. */
void ctx_kill(struct platform_ctx *c);

int ptrace_ctx_new(struct platform_space *s, struct platform_ctx *creator,
                   struct platform_ctx **out);
void ptrace_ctx_free(struct platform_ctx *c);
int ptrace_ctx_switch_space(struct platform_ctx *c, struct platform_space *s);
int ptrace_ctx_run(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *out);
void ptrace_ctx_regs_pull(struct platform_ctx *c, struct lx_regs *regs);
void ptrace_ctx_interrupt(struct platform_ctx *c);

/* --- regs.c --- */

/* Writes *want to the stopped stub, in as few calls as possible. */
int MUST_CHECK ctx_regs_commit(struct platform_ctx *c, const struct lx_regs *want);
int ptrace_ctx_xstate_get(struct platform_ctx *c, void *buf, size_t size);
int ptrace_ctx_xstate_set(struct platform_ctx *c, const void *buf, size_t size);
int ptrace_ctx_cpu_clock(struct platform_ctx *c);
void ptrace_ctx_set_cpus(struct platform_ctx *c, const cpu_set_t *cpus);
int ptrace_ctx_rseq(struct platform_ctx *c, int fd, uint64_t offset, uint32_t sig);
int ptrace_ctx_xstate_copy(struct platform_ctx *dst, struct platform_ctx *src);
int MUST_CHECK ctx_xstate_load(struct platform_ctx *c);

/* --- probe.c --- */
int ptrace_probe(struct platform_probe *out);
int ptrace_start(const struct platform_config *config, struct platform **out);
