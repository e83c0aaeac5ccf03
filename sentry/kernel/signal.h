/* SPDX-License-Identifier: Apache-2.0 */
/* Signal sets and the parts of signal delivery that other layers call. signal(7). */
#pragma once

#include "sentry/abi/types.h"

struct task;
struct lx_siginfo; /* sentry/abi/signal.h, 128 bytes */

typedef uint64_t lx_sigset_t;
#define LX_NSIG 64
static inline lx_sigset_t sigset_bit(int signo)
{
    return 1ull << (signo - 1);
}

/* To one thread / to a process. info NULL: SI_KERNEL. Any lock below SIGHAND's rank may be held. */
int signal_send_task(struct task *t, int signo, const struct lx_siginfo *info);
int signal_send_process(struct task *any_thread, int signo, const struct lx_siginfo *info);
/* A fault of the guest's own: blocked or ignored means death, as force_sig_info. */
void signal_force(struct task *t, int signo, const struct lx_siginfo *info);
/* Swap the mask for the time of a system call (ppoll, epoll_pwait, sigsuspend): restored after the
 * handler frame is built, or at once when the call was not interrupted. */
void signal_set_temporary_mask(struct task *t, lx_sigset_t mask);
lx_sigset_t signal_mask(const struct task *t);
lx_sigset_t signal_pending(struct task *t);
