/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pid namespaces: number tables for struct pid. pid_namespaces(7). The tables, and the task tree of
 * kernel/ that hangs on them, are guarded by one lock, g_taskset.lock (rank TASKSET).
 */
#pragma once

#include "platform/base/lock.h"
#include "sentry/core/pid.h"

struct userns;

RB_HEAD(pid_numbers, pid_number);

/* Lifetime: refcounted (pidns_get/pidns_put): by children, pid numbers and tasks.
 * Keys: I immutable; s g_taskset.lock */
struct pidns {
    struct refs refs;
    struct pidns *parent;       /* I, +1; NULL for the root */
    struct userns *userns;      /* I, +1 */
    uint32_t level;             /* I: 0 for the root */
    uint64_t inum;              /* I */
    struct pid_numbers numbers; /* s: pids that are in use here */
    lx_pid_t last_nr;           /* s */
    uint32_t count;             /* s: entries of numbers */
    struct task *reaper; /* s, borrowed: leader of its PID 1, NULL before and after its life */
    bool dying;          /* s: PID 1 is going: no more members */
    int reboot_signal;   /* s: what reboot(2) inside made PID 1 die of; 0 */
};

struct taskset {
    struct mutex lock; /* rank TASKSET */
};
extern struct taskset g_taskset;

#define LX_PID_MAX   4194304
#define PID_RESERVED 300

struct pidns *pidns_get(struct pidns *ns);
void pidns_put(struct pidns *ns);
/* parent NULL: a root namespace (one per sandbox). -ENOSPC when nested too deep. */
int MUST_CHECK pidns_new(struct pidns *parent, struct userns *userns, struct pidns **out);

/* A pid with a number in ns and all its ancestors. set_tid: wanted numbers, innermost first, or
 * NULL. -ENOMEM, -EAGAIN (numbers used up), -EEXIST, -EINVAL, -EPERM (capability, per level). */
int MUST_CHECK pid_new(struct pidns *ns, const lx_pid_t *set_tid, uint32_t set_tid_count,
                       struct pid **out);
/* Takes the numbers back; the object lives on while referenced. Idempotent. */
void pid_unhash_locked(struct pid *p);
/* Borrowed: the pid numbered nr in ns, or the one with the lowest number >= nr. NULL. */
struct pid *pidns_find_locked(struct pidns *ns, lx_pid_t nr);
struct pid *pidns_find_from_locked(struct pidns *ns, lx_pid_t nr);

/* A fresh inode number for a namespace object (/proc/PID/ns). */
uint64_t ns_inum_new(void);
