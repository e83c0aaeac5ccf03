/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tracee carries, and the places of the kernel that stop for a tracer. For kernel/ alone.
 *
 * A tracee stops on its own thread, in ptrace_stop*(), and everything that is needed to go on is in
 * this struct, the registers and `ktask_private`: a stop is "the loop is at this place and waits",
 * never a value in a local variable.
 *
 *   stopped    the tracer may look at and change registers, siginfo and mask, all under tg->lock;
 *              the tracee's thread touches none of them. Ends by resume, detach or SIGKILL.
 *   listening  stopped, but for nobody to see (PTRACE_LISTEN): a trap_notify ends it.
 *   trap_stop  a PTRACE_EVENT_STOP (seized) or group stop (attached) is due at the next look.
 *   trapping   the attacher waits until a task that was parked in a group stop arrived in its trap.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "platform/base/list.h"
#include "sentry/abi/ptrace.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/types.h"

struct cred;
struct task;
struct userns;

/* ptrace_state.flags: what the tracer asked for. */
#define PT_TRACED          0x001u
#define PT_SEIZED          0x002u
#define PT_SYSCALL         0x004u /* stop at entry and exit of calls */
#define PT_SYSEMU          0x008u /* stop at entry, do not make the call */
#define PT_STEP            0x010u /* one instruction */
#define PT_SUSPEND_SECCOMP 0x020u
#define PT_OPTIONS_SHIFT   8 /* LX_PTRACE_O_* of events and TRACESYSGOOD: bits 8 to 15 */
#define PT_OPTION(event)   (1u << (PT_OPTIONS_SHIFT + (event)))
#define PT_SYSGOOD         PT_OPTION(0)
#define PT_EXITKILL        0x10000u
/* What makes a system call take the slow way. */
#define PT_CALL_WORK (PT_SYSCALL | PT_SYSEMU | PT_STEP)

/* Keys: s g_taskset.lock; g tg->lock; T own thread (the tracer under g while stopped); a atomic */
struct ptrace_state {
    atomic_uint flags;        /* a: changed under g, to and from 0 also under s; PT_* */
    struct task *tracer;      /* s and g: borrowed, it lets go of its tracees when it ends */
    struct list node;         /* s: ptracees of tracer */
    struct list tracees;      /* s: whom this task traces */
    struct cred *tracer_cred; /* s, +1: of the tracer when it attached; stays until the next one */
    bool stopped, listening;  /* g */
    bool resumed;             /* g: the stop is over */
    bool trap_stop, trap_notify, trapping; /* g */
    bool dying;             /* g: the stop of PTRACE_EVENT_EXIT: the end is no reason to go on */
    int code;               /* g: for wait, 0 when it was told; then what to go on with */
    uint64_t message;       /* g */
    bool has_info;          /* g */
    struct lx_siginfo info; /* g: of the stop */
    bool forced_tf;         /* T: TF in eflags is ours, not the guest's */
    uint8_t *xstate;        /* g: copy of the extended state, NULL until somebody asked */
    bool xstate_wanted, xstate_valid, xstate_dirty; /* g */
    int xstate_error;                               /* g: of the last fetch */
    /* What a system call still has to report when it was made. */
    int event;              /* T: LX_PTRACE_EVENT_*, 0: nothing */
    uint64_t event_message; /* T */
};

/* May be called by the task itself, or under g or s of it. */
#define ptrace_flags(t)     atomic_load_explicit(&(t)->k->pt.flags, memory_order_relaxed)
#define ptrace_is_traced(t) (ptrace_flags(t) != 0)

void ptrace_state_init(struct ptrace_state *pt);
void ptrace_state_destroy(struct ptrace_state *pt); /* holds no lock */

/* ---- life (ptrace.c) ---- */
/* Is t traced by somebody outside of its parent's process? s held. */
bool ptrace_reparented_locked(struct task *t);
/* The end of a tracing relation; reaping is the caller's business. s held. */
void ptrace_unlink_locked(struct task *child);
/* t ends: its tracees are free (or die). Dead ones that nobody waits for go to out_free. s held. */
void ptrace_tracer_exit_locked(struct task *t, struct list *out_free);
/* The event that clone with these flags reports, 0: none. T. */
int ptrace_clone_event(struct task *t, uint64_t clone_flags, int exit_signal);
/* child starts as a tracee of t's tracer. s held, child not running. */
void ptrace_inherit_locked(struct task *t, struct task *child);
/* May t gain privileges by exec although it is traced? */
bool ptrace_exec_privilege_ok(struct task *t, const struct userns *ns);

/* ---- stops (ptrace_stop.c), on the own thread ---- */
/* Stop with event (if asked for); SIGTRAP after exec for attached tracees. No lock. */
void ptrace_event(struct task *t, int event, uint64_t message);
bool ptrace_event_enabled(struct task *t, int event);
/* False: the call is not made (SYSEMU, fatal signal). No lock. */
bool ptrace_syscall_entry(struct task *t);
void ptrace_syscall_exit(struct task *t);
/* Before the end of the thread. */
void ptrace_exit_stop(struct task *t);
/* A handler's frame was built while the tracer steps. */
void ptrace_step_into_handler(struct task *t);
/* False: the trap is a leftover of a step whose tracer is gone. */
bool ptrace_step_trap(struct task *t);
/* A group stop or SIGCONT changed what a seized tracee's stop means. g held. */
void ptrace_trap_notify_locked(struct task *t);
/* Does a stop or trap need the task before guest code? g held. */
static inline bool ptrace_trap_due(const struct ptrace_state *pt)
{
    return pt->trap_stop || pt->trap_notify;
}

/* ---- registers (ptrace_regs.c) ---- */
void ptrace_step_enable(struct task *t);
void ptrace_step_disable(struct task *t);
/* The own thread serves the tracer's wish for extended state; true: it did something. */
bool ptrace_xstate_serve(struct task *t);
/* Back to the platform if the tracer changed it. */
void ptrace_xstate_commit(struct task *t);
