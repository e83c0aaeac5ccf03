/* SPDX-License-Identifier: Apache-2.0 */
/* Signal sets and the parts of signal delivery that other layers call. signal(7). */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct cred;
struct task;
struct pid;
struct lx_siginfo; /* sentry/abi/signal.h, 128 bytes */
struct lx_sigaction;
struct lx_stack;

typedef uint64_t lx_sigset_t;
#define LX_NSIG 64
static inline lx_sigset_t sigset_bit(int signo)
{
    return 1ull << (signo - 1);
}

/* To one thread / to a process. info NULL: SI_KERNEL. Any lock below SIGHAND's rank may be held.
 * 0, or -EAGAIN (a queued real-time signal over RLIMIT_SIGPENDING). */
int signal_send_task(struct task *t, int signo, const struct lx_siginfo *info);
int signal_send_process(struct task *any_thread, int signo, const struct lx_siginfo *info);
/* A fault of the guest's own: blocked or ignored means death, as force_sig_info. */
void signal_force(struct task *t, int signo, const struct lx_siginfo *info);
/* SIGSEGV for the calling task that its handler cannot survive (bad frame). */
void signal_force_segv(struct task *t, int signo);
/* Swap the mask for the time of a system call (ppoll, epoll_pwait, sigsuspend): restored after the
 * handler frame is built, or at once when the call was not interrupted. */
void signal_set_temporary_mask(struct task *t, lx_sigset_t mask);
lx_sigset_t signal_mask(const struct task *t);
lx_sigset_t signal_pending(struct task *t);

/* What sys_kill, sys_tgkill, sys_rt_sig* are made of. All: calling task's own point of view. */

/* siginfo of kill/tkill/sigqueue by the caller, code LX_SI_USER or LX_SI_TKILL. */
void signal_info_user(struct lx_siginfo *info, int signo, int code);
/* May the caller signal t? 0 or -EPERM; signo 0 allowed. */
int signal_check_permission(struct task *t, int signo, const struct lx_siginfo *info);
/* kill(2): pid > 0, 0, -1, < -1. */
int signal_kill(lx_pid_t pid, int signo, const struct lx_siginfo *info);
/* To everything p names; see struct pid_ops. */
int signal_pid(struct pid *p, int kind, int signo, const struct lx_siginfo *info, bool check);
void signal_block(struct task *t, lx_sigset_t mask); /* the new mask of the calling task */
int signal_action(struct task *t, int signo, const struct lx_sigaction *act,
                  struct lx_sigaction *old);
int signal_altstack(struct task *t, const struct lx_stack *ss, struct lx_stack *old, uaddr_t sp);
/* sigtimedwait: number or -EAGAIN, -EINTR. deadline: monotonic. */
int signal_wait(struct task *t, lx_sigset_t which, uint64_t deadline, struct lx_siginfo *info);
long signal_return(struct task *t); /* rt_sigreturn */
