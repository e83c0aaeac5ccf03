/* SPDX-License-Identifier: Apache-2.0 */
/* Per-task settings that system calls read and write one by one. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct task;

/* sysctl kernel.io_uring_disabled: 0 nobody, 1 the unprivileged, 2 everybody may not use it. */
int settings_io_uring_disabled(void);
void settings_set_io_uring_disabled(int how);

/* Own thread only. */
void task_set_clear_child_tid(struct task *t, uaddr_t addr);
uaddr_t task_clear_child_tid(const struct task *t);
uint32_t task_personality(const struct task *t);
void task_set_personality(struct task *t, uint32_t p);
bool task_no_new_privs(const struct task *t);
void task_set_no_new_privs(struct task *t);
int task_pdeath_signal(const struct task *t);
void task_set_pdeath_signal(struct task *t, int signo);
bool task_thp_disable(const struct task *t);
void task_set_thp_disable(struct task *t, bool on);
bool task_io_flusher(const struct task *t);
void task_set_io_flusher(struct task *t, bool on);
/* KEYCTL_SET_REQKEY_KEYRING: returns what it was; -1 only asks. */
int task_set_reqkey_default(struct task *t, int where);
uint64_t task_timer_slack(struct task *t);

/* membarrier(2): every other thread of the process passes a full barrier before the return. */
void task_membarrier(struct task *t);
/* Registrations are the bits of their commands; exec forgets them. */
void task_membarrier_register(struct task *t, uint32_t cmd);
int task_membarrier_registered(struct task *t);

/* Any task; taken under its lock. */
struct task_sched {
    int policy, rt_priority, nice, ioprio;
    bool reset_on_fork;
};
void task_sched_get(struct task *t, struct task_sched *out);
void task_sched_set(struct task *t, const struct task_sched *s);
