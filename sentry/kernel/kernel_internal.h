/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of tasks and processes, for kernel/ alone. kernel/README.md explains the life cycles.
 *
 * Locks, in order: thread_group.exec_lock (EXEC) > g_taskset.lock (TASKSET) > thread_group.lock
 * (SIGHAND) > task.lock (TASK) > leaf locks. Two thread_group locks are never held together: what
 * concerns parent and child takes TASKSET first and one group lock at a time.
 */
#pragma once

#include "platform/base/list.h"
#include "sentry/abi/resource.h"
#include "sentry/abi/sched.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/time.h"
#include "sentry/core/pidns.h"
#include "sentry/core/restart.h"
#include "sentry/core/user.h"
#include "sentry/core/userns.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/ptrace_internal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/user_dispatch.h"

extern const struct platform_ops *g_platform_ops;
extern struct platform *g_platform;

/* ---- signals ------------------------------------------------------------------------------ */

/* Lifetime: refcounted: shared by processes cloned with CLONE_SIGHAND.
 * Keys: h ->lock */
struct sighand {
    struct refs refs;
    struct mutex lock;                   /* rank LEAF */
    struct lx_sigaction action[LX_NSIG]; /* h */
};

struct kcgroup;
struct posix_timer;

/* Lifetime: unique, on one pending queue; a posix timer's own entry is embedded in it. */
struct sigqueue {
    struct list node;
    struct lx_siginfo info;
    struct user *user;         /* +1: whose RLIMIT_SIGPENDING it counts against; NULL for timers */
    struct posix_timer *timer; /* +1 while queued, or NULL */
};

struct sigpending {
    lx_sigset_t set;
    struct list queue;
};

/* ---- process ------------------------------------------------------------------------------ */

#define GROUP_EXIT           0x01u /* exit_code is final, every thread dies */
#define GROUP_STOPPED        0x02u /* all threads are parked, parent was or will be told */
#define GROUP_CONTINUED      0x04u /* a wait with WCONTINUED has something to report */
#define GROUP_CLD_STOP       0x08u /* parent notification due (the next thread to look does it) */
#define GROUP_CLD_CONT       0x10u
#define GROUP_UNKILLABLE     0x20u /* PID 1 of a namespace */
#define GROUP_EXEC           0x40u /* exec_task kills the other threads without ending the process */
#define GROUP_SUBREAPER      0x80u
#define GROUP_HAS_SUBREAPER  0x100u /* some ancestor is one */
#define GROUP_DID_EXEC       0x200u
#define GROUP_SESSION_LEADER 0x400u

struct cpu_times {
    uint64_t utime, stime; /* ns */
};

/* CPU-time interval timers and RLIMIT_CPU of one process. */
struct itimer_cpu {
    uint64_t expires, interval; /* ns of process CPU time; 0: off */
};

/* Lifetime: refcounted; every task of the process holds one.
 * Keys: I immutable; g ->lock; s taskset; a atomic; r limits_lock */
struct thread_group {
    struct refs refs;
    struct mutex lock;        /* rank SIGHAND */
    struct mutex exec_lock;   /* rank EXEC */
    struct mutex limits_lock; /* rank LEAF */
    struct sighand *sighand;  /* g, +1 */
    struct sigpending shared; /* g */
    struct list threads;      /* s and g to change, either to read: ktask_private.tg_node */
    uint32_t thread_count;    /* s and g: entries of threads */
    atomic_uint live;         /* g, others see a hint: threads that did not begin to exit */
    struct task *leader;      /* s, borrowed: alive until the group is reaped */
    struct task *target;      /* g, borrowed: where the last shared signal went */
    atomic_uint flags;        /* changed under g; GROUP_* */
    atomic_bool sem_undo;     /* a: it asked for SEM_UNDO, or shared it with a thread */
    atomic_int
        exit_code; /* g: wait status of the group exit, or of the stop; set before GROUP_EXIT, read under s too */
    struct task *exec_task;       /* g, borrowed */
    uint32_t exec_wait;           /* g: threads exec_task still waits for */
    uint32_t exec_busy;           /* g: execs between reading and changing credentials; attachers
                                     wait on child_wq */
    int stop_signo;               /* g: stop in progress or done: every thread parks */
    uint32_t stop_count;          /* g: threads that did not park yet */
    struct pid *pgrp, *session;   /* s, +1 */
    struct waitq child_wq;        /* parents in wait4 */
    struct kcontainer *container; /* I, +1 */
    struct list all_node;         /* s: g_processes */
    struct kcgroup *cgroup;       /* s and g to change, either to read; +1 */
    struct lx_rlimit rlim[LX_RLIM_COUNT];               /* r */
    struct cpu_times dead;                              /* s: of reaped threads */
    struct io_counts dead_io;                           /* s */
    struct cpu_times cgroup_base;                       /* s: used before it joined ->cgroup */
    struct cpu_times children;                          /* s: of waited-for children */
    uint64_t dead_minflt, dead_nvcsw, dead_nivcsw;      /* s */
    uint64_t child_minflt, child_nvcsw, child_nivcsw;   /* s */
    uint64_t maxrss, child_maxrss;                      /* s: KiB */
    uint64_t start_boottime;                            /* I: ns */
    struct list timers;                                 /* g: posix timers */
    int timer_next_id;                                  /* g */
    struct ktimer itimer_real;                          /* armed with ITIMER_REAL */
    uint64_t itimer_real_expires, itimer_real_interval; /* g; monotonic ns */
    struct itimer_cpu itimer_virt, itimer_prof;         /* g */
    struct ktimer cpu_timer;          /* polls CPU time while somebody wants to know */
    uint64_t cpu_limit_next;          /* g: CPU seconds at which SIGXCPU is due next */
    int oom_score_adj;                /* g */
    struct core_dump *core;           /* g, borrowed: a dump in progress owned by its task */
    atomic_uint core_filter;          /* a: which mappings a core file holds */
    uint64_t oom_since;               /* s: when the OOM killer chose it, monotonic ns; 0: never */
    atomic_uint membarrier;           /* a: registrations, bits of membarrier(2)'s commands */
    struct key *process_keyring;      /* keys lock, +1 */
    struct process_exit_hook on_exit; /* I: boot's callback for top-level processes */
};

/* ---- task --------------------------------------------------------------------------------- */

enum task_exit_state { TASK_LIVE, TASK_ZOMBIE, TASK_DEAD };

struct vfork_done {
    atomic_uint done;
    struct task *parent; /* +1 */
    struct refs refs;
};

/* Keys: I immutable; T own thread; g tg->lock; s taskset; m task.lock; a atomic */
struct ktask_private {
    struct task *self;                    /* I */
    struct list tg_node;                  /* s and g */
    struct list pid_node[PID_KIND_COUNT]; /* s: pid.tasks */
    struct task *real_parent;             /* s, borrowed: NULL for top-level processes */
    struct list children;                 /* s: child leaders, sibling */
    struct list sibling;                  /* s */
    enum task_exit_state exit_state;      /* s */
    int exit_code;                        /* s once exiting: wait status */
    int exit_signal;                      /* s: what the parent gets; -1 for threads */
    atomic_int pdeath_signal;             /* a: the parent's end reads it */

    struct sigpending pending; /* g */
    lx_sigset_t blocked;       /* T under g; others read under g */
    lx_sigset_t saved_mask;    /* T */
    lx_sigset_t real_blocked;  /* g: mask outside of sigtimedwait */
    bool restore_mask;         /* T */
    atomic_bool exiting;       /* g; others see a hint */
    bool stopped;              /* g: parked in a group stop */
    bool stop_pending;         /* g: has yet to park for tg->stop_signo */
    bool stop_counted;         /* g: is one of tg->stop_count */
    int stop_signo;            /* g: of the last group stop it was told of */
    bool stop_dequeued;        /* g: about to act on a stop signal; SIGCONT clears it */
    bool core_joined;          /* g: past the point where a core dump meets it */
    bool exec_kill;            /* g: exec of another thread wants it gone */
    bool die;                  /* T: leave the loop and exit */
    struct lx_stack altstack;  /* T */

    atomic_uint in_guest;         /* a: 1 from before ctx_run to after it */
    atomic_uint gate;             /* a: the host thread waits for it before the first guest code */
    struct restart_block restart; /* T */
    uaddr_t set_child_tid, clear_child_tid; /* T */
    uaddr_t robust_list;                    /* T, racy readers */
    uint64_t robust_size;
    struct vfork_done *vfork;            /* T, +1: parent to release at exec or exit */
    struct vfork_done *vfork_wait;       /* T, +1: the child this task waits for */
    bool after_call;                     /* T: the system call has something left to do */
    int64_t call_result;                 /* T: its result meanwhile */
    uint64_t trapno, trap_err, trap_cr2; /* T: last fault, for signal frames */

    atomic_ulong guest_cycles; /* a: written by own thread */
    atomic_ulong enter_cycles; /* a: cycle counter at entry to guest code, 0 outside */
    atomic_ulong owner_looked, guest_looked; /* a: cycles; written by own thread; see cputime.c */
    atomic_ulong utime_told, stime_told;     /* a: the most that task_cpu_times said */
    atomic_int sentry_clock;             /* a: host CPU clock of the sentry thread, 0 when gone */
    atomic_int guest_clock;              /* a: of what runs guest code, 0: none; see cputime.c */
    atomic_uint guest_seq;               /* a */
    atomic_ulong guest_base, guest_done; /* a: ns */
    uint64_t stime_base, utime_base;     /* I after start */
    atomic_ulong stime_final;            /* a: after the thread ended */
    uint64_t nvcsw, nivcsw;              /* T, racy readers */
    uint64_t start_boottime;             /* I: ns */

    struct user *user;            /* m, +1: real uid's counts */
    struct list work;             /* taskwork's lock */
    struct list kick_node;        /* taskwork's lock: its thread shall fetch the task */
    atomic_bool work_due;         /* a */
    bool work_closed;             /* taskwork's lock */
    atomic_bool has_requests;     /* a: io_uring knows it */
    atomic_bool requests_refused; /* a */
    struct kcgroup *pids_cgroup;  /* s once published, +1: whose pids.current counts it */
    bool pids_charged;            /* s once published */
    bool cgroup_parked;           /* s: does nothing until its group is thawed */
    bool bandwidth_held;          /* s: sleeps until its group's next period */
    uint32_t personality;         /* T */
    atomic_uint loginuid;     /* a: whose login it came from, a kernel uid; LX_ID_INVALID: none */
    atomic_uint sessionid;    /* a: which login; LX_ID_INVALID: none */
    atomic_bool no_new_privs; /* T and g, as seccomp */
    bool top_level;           /* I: started by boot: no parent, tg->on_exit is told */
    int policy, rt_priority, nice;             /* m */
    bool reset_on_fork;                        /* m */
    int ioprio;                                /* m */
    uint64_t timer_slack, timer_slack_default; /* m */
    uint64_t affinity[CPU_WORDS];              /* m: asked for; all ones: nothing */
    bool cpus_limited;                         /* g: the platform was told of fewer than all CPUs */
    bool thp_disable, io_flusher;              /* T */
    struct pidns *child_pidns; /* T, +1: where children go (setns, unshare), or NULL: own */
    int64_t syscall_nr;        /* T, racy: -1 when not in a call */
    struct seccomp_filter *_Atomic seccomp; /* T and g, +1: with TSYNC a sibling puts one on top */
    atomic_uint seccomp_mode;               /* T and g; a sibling turns it on with TSYNC */
    struct pi_waiter *pi_waiting;           /* PI lock */
    struct list pi_owned;                   /* PI lock: pi states owned */
    bool pi_closed;                         /* PI lock: exits, owns none any more */
    struct ptrace_state pt;
    struct key *thread_keyring, *session_keyring; /* keys lock, own thread alone changes them: +1 */
    struct user_dispatch user_dispatch;           /* T */
    bool has_answers;                             /* T: see sites.c */
    int reqkey_default;                           /* T: KEYCTL_SET_REQKEY_KEYRING */
    uaddr_t rseq_area;                            /* T: 0: none */
    uint32_t rseq_sig;                            /* T */
    uint32_t rseq_seen;                           /* T: of *rseq_watch */
    const atomic_uint *rseq_watch;                /* T: changes of pinned pages in its mm */
    struct mm_pin *rseq_pin;                      /* T: of its mm, the page of rseq_area */
};

extern struct cpu_times g_reaped_times; /* s: of processes that are gone */
extern struct list g_processes;         /* s: every thread_group, all_node */

static inline struct ktask_private *task_k(const struct task *t)
{
    return t->k;
}

/* rseq.c; all by the task's own thread */
extern const atomic_uint g_rseq_never; /* what rseq_watch is without an area */
/* The area's page may be another one by now. False: SIGSEGV, without a handler. */
bool rseq_follow(struct task *t);
/* Guest code was left, not by a call, or a signal frame is due: a critical section ends. False as above. */
bool rseq_abort(struct task *t);
/* child is complete and not started. */
void rseq_fork(struct task *t, struct task *child);
/* Before exec, while mm and ctx are still the old ones; and when the ctx is gone from mm. */
int MUST_CHECK rseq_exec(struct task *t);
void rseq_drop(struct task *t, struct mm *mm);

/* task.c */
int MUST_CHECK task_alloc(struct task **out);
/* Tears down what task_alloc and clone filled in, for a task that never ran or was reaped. */
int MUST_CHECK thread_group_new(struct thread_group **out);
struct thread_group *thread_group_get(struct thread_group *tg);
void thread_group_put(struct thread_group *tg);
struct sighand *sighand_get(struct sighand *sh);
void sighand_put(struct sighand *sh);
int MUST_CHECK sighand_new(const struct sighand *from, struct sighand **out);
void task_attach_pid_locked(struct task *t, enum pid_kind kind, struct pid *p);
void task_detach_pid_locked(struct task *t, enum pid_kind kind);
struct task *pid_task_locked(struct pid *p, enum pid_kind kind);
/* The task whose pid_node[kind] is node. */
struct task *task_of_pid_list(struct list *node, enum pid_kind kind);
static inline bool task_is_leader(const struct task *t)
{
    return t->tg->leader == t;
}
#define for_each_thread_locked(pos, tg)                                                            \
    for (struct list *it_ = (tg)->threads.next;                                                    \
         it_ != &(tg)->threads &&                                                                  \
         ((pos) = list_entry(it_, struct ktask_private, tg_node)->self, true);                     \
         it_ = it_->next)

/* sites.c */
/* The platform says that the call in t->regs comes often from where it stands. T, no lock. */
void task_site_hot(struct task *t);
/* Ids of t changed, or somebody watches its calls from now on. T, no lock. */
void task_answers_changed(struct task *t);
/* The second of these, for any thread. Holds g. */
void task_answers_revoke_locked(struct task *t);

/* loop.c */
void task_run(struct task *t);
/* Starts the host thread; the task runs when the gate opens. -EAGAIN. */
int MUST_CHECK task_thread_start(struct task *t);
void task_thread_go(struct task *t);
/* Ends a thread whose gate never opened. */
void task_thread_abort(struct task *t);
/* Makes the task look at its signals and jobs. fatal: killable sleeps end too. Caller holds the
 * group's lock (that keeps ctx alive). */
void task_kick_locked(struct task *t, bool fatal);

/* signal.c */
void sigpending_init(struct sigpending *p);
void sigpending_flush(struct sigpending *p, lx_sigset_t which);
int signal_send_locked(struct task *t, int signo, const struct lx_siginfo *info, bool to_group,
                       bool force);
bool signal_is_ignored_locked(struct task *t, int signo);
/* Has t something to do before it may go on (signals, stop, exit)? Updates its interrupt bits. */
bool signal_recalc_locked(struct task *t);
/* The same without task work, and without touching the bits. */
bool signal_due_locked(struct task *t);
void signal_retarget_locked(struct task *t, lx_sigset_t which);
void signal_zap_other_threads_locked(struct task *t);
/* Takes the next signal outside of blocked: its number or 0. */
int signal_dequeue_locked(struct task *t, lx_sigset_t blocked, struct lx_siginfo *out);
bool signal_send_queued_locked(struct task *t, struct sigqueue *q, bool to_group);
bool signal_default_ignored(int signo);
bool signal_default_stops(int signo);
bool signal_default_dumps(int signo);
void sigqueue_free(struct sigqueue *q);
void signal_flush_handlers(struct task *t);
/* Ends the process: status is final, all threads but t (which is dying itself) are kicked. */
void signal_group_exit_locked(struct task *t, int status);
/* t parks or dies: its part of a group stop in progress is done. True: it was the last. */
bool signal_stop_joined_locked(struct task *t);
void signal_xstate_reset(struct task *t);
struct signalfd_ops;
extern const struct signalfd_ops g_kernel_signalfd_ops;

/* signal_deliver.c */
/* Handles everything that is due before the guest may run: returns false when the task must exit.
 */
bool task_work(struct task *t);
void task_group_exit(struct task *t, int status);

/* signal_frame.c */
int MUST_CHECK signal_frame_setup(struct task *t, const struct lx_sigaction *sa,
                                  const struct lx_siginfo *info, lx_sigset_t mask);

/* Software bytes of an XSAVE image: which features, for readers of NT_X86_XSTATE. */
void signal_xstate_describe(uint8_t *image);
/* -EINVAL: state that XRSTOR would refuse. */
int MUST_CHECK signal_xstate_check(const uint8_t *image);

/* exit.c */
void task_exit(struct task *t);
/* exits: for good; otherwise for exec. */
void task_mm_release(struct task *t, bool exits);
/* Memory, files, namespaces and ctx of the calling (or never started) task. */
void task_drop_resources(struct task *t, bool group_dead);
void task_zombie_reap_locked(struct task *t, struct list *out_free);
void task_free_list(struct list *dead);
void task_notify_parent_cldstop(struct task *t, int why);
/* SIGCHLD about child (a thread, or a process as its leader) for parent: who and times. s held. */
void task_fill_child_info_locked(struct lx_siginfo *info, struct task *child, struct task *parent);
/* Sends it unless parent does not want to hear of stops, and wakes waiters. s held. */
void task_send_cldstop_locked(struct task *parent, const struct lx_siginfo *info);
/* Reaps a zombie; if it was the last thread before its leader, the leader's parent is told. */
void task_reap_locked(struct task *t, struct list *out_free);
/* Tells the parent (the tracer, if there is one) that t ended; true: nobody will wait for it, reap
 * now. t is a leader without other threads, or traced. */
bool task_notify_parent_locked(struct task *t);
int task_exit_status_locked(struct task *leader);
bool pgrp_is_orphaned_locked(struct pid *pgrp, struct task *ignored);
/* Frees p's numbers when nothing uses them any more. */
void kernel_pid_release_locked(struct pid *p);

/* kill.c */
int signal_pgrp_locked(struct pid *pgrp, int signo, const struct lx_siginfo *info);

/* clone.c */
void task_publish_locked(struct task *t, struct task *parent);
/* The rest of a system call that made a task: reports to a tracer, waits for a vfork child. */
void task_after_call(struct task *t);

/* cputime.c */
struct cpu_times task_cpu_times(struct task *t);
struct cpu_times group_cpu_times_locked(struct thread_group *tg);
void io_counts_add(struct io_counts *sum, const struct io_counts *one);
static inline uint64_t cycles_now(void)
{
    return __builtin_ia32_rdtsc();
}
void cputime_init(void);
void cputime_thread_begin(struct task *t);
void cputime_thread_end(struct task *t);
/* Own thread: what its clocks counted in vain. */
static inline void cputime_looked(struct ktask_private *k, const struct platform_event *ev)
{
    /* relaxed: as guest_cycles */
    atomic_store_explicit(&k->owner_looked,
                          atomic_load_explicit(&k->owner_looked, memory_order_relaxed) +
                              ev->owner_looked,
                          memory_order_relaxed);
    atomic_store_explicit(&k->guest_looked,
                          atomic_load_explicit(&k->guest_looked, memory_order_relaxed) +
                              ev->guest_looked,
                          memory_order_relaxed);
}
/* The owner of t->ctx tells that it got one, that another host process serves it, or (gone) that it
 * is about to be freed. */
void cputime_guest_changed(struct task *t, bool gone);
void cputime_limits_changed(struct thread_group *tg);

/* timers */
void group_timers_init(struct thread_group *tg);
void group_timers_destroy(struct thread_group *tg); /* holds no lock */
void group_timers_exec(struct thread_group *tg);    /* posix timers go, itimers stay */
void group_timers_exit(struct thread_group *tg);
/* Called when a timer's signal is taken off the queue: sets si_overrun, re-arms. */
bool posix_timer_dequeued(struct posix_timer *pt, struct lx_siginfo *info);
void posix_timer_put(struct posix_timer *pt);
void posix_timer_unqueue(struct posix_timer *pt); /* its entry left the queue */

/* ptrace.c: child is stopped for the calling task, its tracer. */
bool ptrace_mine_locked(const struct task *child);

/* ptrace_stop.c; more in ptrace_internal.h. Both drop the lock and take it again. */
/* A dequeued signal: the number to deliver or 0. */
int ptrace_signal_locked(struct task *t, struct lx_siginfo *info) REQUIRES(t->tg->lock);
/* trap_stop or trap_notify is set. */
void ptrace_jobctl_trap_locked(struct task *t) REQUIRES(t->tg->lock);

/* coredump.c */
/* The process dies of info's signal, leaving a core file if it may: the wait status. */
int core_dump_process(struct task *t, const struct lx_siginfo *info);
/* t ends: if its process is being dumped, it leaves its registers and waits for the end of that. */
void core_dump_join(struct task *t);

/* seccomp.c */
void seccomp_task_exit(struct task *t);
/* Filters, mode and no_new_privs of a new task. Caller holds parent's tg->lock until child is in its group. */
void seccomp_inherit_locked(struct task *parent, struct task *child);

/* futex */
void futex_init(void);
void futex_exit_robust(struct task *t);
void futex_exit_pi(struct task *t, bool exits);
int futex_wake_word(uaddr_t addr); /* private and shared waiters of one word, one of each at most */

/* container.c */
bool kcontainer_is_paused(struct kcontainer *c);
/* Parks the calling task while its container is paused. */
void kcontainer_park(struct kcontainer *c);
void kcontainer_add_process(struct kcontainer *c, int delta);

/* boot.c */
/* Bytes of memory guests see and how many are free. */
void kernel_memory(uint64_t *out_total, uint64_t *out_free);
extern const struct curr_ops g_kernel_curr_ops;
extern const struct pid_ops g_kernel_pid_ops;
