/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work for a task's own thread: things that must happen with the task's memory, descriptors and
 * credentials but are started by somebody else (io_uring completes its requests so). It runs before
 * the task's next guest instruction; a task that sleeps in a system call is woken and the call
 * restarts, as for a signal without a handler.
 */
#pragma once

#include "platform/base/list.h"
#include "sentry/kernel/task.h"

/* Lifetime: its owner's; on one task's list at most. */
struct taskwork {
    struct list node;
    void (*fn)(struct taskwork *w); /* on the task's thread, no lock held */
};

/* Starts the service thread that fetches tasks out of guest code. -errno. Idempotent. */
int MUST_CHECK taskwork_start(void);
/* Any lock that ranks before LEAF may be held. False: the task is past its end, nothing happened.
 */
bool MUST_CHECK taskwork_add(struct task *t, struct taskwork *w);
/* Of the calling task; may be stale. */
bool taskwork_due(const struct task *t);
/* Runs what is there now; work that this work makes waits for the next call, so that a signal gets
 * its turn. True: something else is due too (a signal, a stop, the end). */
bool taskwork_run(struct task *t);
/* The calling task exits: runs what is left, refuses more. */
void taskwork_close(struct task *t);

/* What io_uring wants to know of tasks. Set by boot; the caller's own task, no lock held. */
struct task_request_ops {
    /* Cancels and waits for everything that t has started: it exits or executes a program. */
    void (*cancel_all)(struct task *t);
};
extern const struct task_request_ops *g_task_request_ops;
/* The calling task has started something that cancel_all would find. */
void task_requests_mark(struct task *t);
/* Cancels all; more are refused from then on (exit) or welcome again afterwards (exec). */
void task_requests_cancel(struct task *t, bool exits);
bool task_requests_refused(const struct task *t);
