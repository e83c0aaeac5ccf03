/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2): see futex.c (plain waits and wakes), futex_pi.c (priority inheritance). */
#pragma once

#include "sentry/abi/futex.h"
#include "sentry/mm/uaccess.h"

struct task;

/* deadline: monotonic ns or NO_DEADLINE. private: FUTEX_PRIVATE_FLAG was given. */
long futex_wait(uaddr_t addr, bool is_private, uint32_t val, uint32_t bitset, uint64_t deadline);
/* The same, but a signal leaves restarting to the handler's SA_RESTART (futex_wait(2)). */
long futex_wait_plain(uaddr_t addr, bool is_private, uint32_t val, uint32_t bitset,
                      uint64_t deadline);
long futex_wake(uaddr_t addr, bool is_private, int count, uint32_t bitset);
/* cmp: pointer to the expected value or NULL. */
long futex_requeue(uaddr_t from, uaddr_t to, bool is_private, int wake, int move,
                   const uint32_t *cmp);
long futex_wake_op(uaddr_t a, uaddr_t b, bool is_private, int wake_a, int wake_b, uint32_t op);

struct futex_wait_entry {
    uaddr_t addr;
    uint32_t val;
    bool is_private;
};
/* Index of the entry that was woken, or -errno. */
long futex_wait_many(const struct futex_wait_entry *entries, uint32_t count, uint64_t deadline);

long futex_lock_pi(struct task *t, uaddr_t addr, bool is_private, uint64_t deadline, bool try_only);
long futex_unlock_pi(struct task *t, uaddr_t addr, bool is_private);
/* Condition variables over a PI mutex. */
long futex_wait_requeue_pi(struct task *t, uaddr_t cond, uaddr_t mutex, bool is_private,
                           uint32_t val, uint32_t bitset, uint64_t deadline);
long futex_cmp_requeue_pi(struct task *t, uaddr_t cond, uaddr_t mutex, bool is_private, int wake,
                          int move, uint32_t expected);

void task_set_robust_list(struct task *t, uaddr_t head, uint64_t size);
void task_get_robust_list(struct task *t, uaddr_t *out_head, uint64_t *out_size);
