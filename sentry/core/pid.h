/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pid as an object: the identity of a task, thread group, process group or session that outlives
 * reuse of its number. Lower layers (tty, F_SETOWN, SO_PEERCRED, pidfd) hold these; kernel/ owns
 * the tables and fills g_pid_ops at boot.
 */
#pragma once

#include "platform/base/list.h"
#include "platform/base/refs.h"
#include "platform/base/tree.h"
#include "sentry/abi/types.h"
#include "sentry/core/sleep.h"

struct pidns;
struct task;

#define PIDNS_MAX_DEPTH 32

enum pid_kind { PID_TID, PID_TGID, PID_PGRP, PID_SID, PID_KIND_COUNT };

/* Lifetime: refcounted. */
struct pid {
    struct refs refs;
    uint32_t level; /* I: depth of its namespace; numbers[0..level] are valid */
    bool hashed;    /* s: findable by number; false once nothing uses the numbers */
    struct list tasks[PID_KIND_COUNT]; /* s (RANK_TASKSET), kernel/ private */
    struct waitq exit_wq;              /* woken when its process or thread ends (pidfd) */
    struct pid_number {
        struct pidns *ns;          /* I, +1 */
        lx_pid_t nr;               /* I */
        RB_ENTRY(pid_number) node; /* s: numbers of ns */
    } numbers[];                   /* I */
};

struct pid *pid_get(struct pid *p); /* NULL stays NULL */
void pid_put(struct pid *p);
/* Number as seen from ns; 0 when it has none there. pid may be NULL (0). */
lx_pid_t pid_nr_in(const struct pid *p, const struct pidns *ns);
/* Number as the calling task sees it. */
lx_pid_t pid_nr(const struct pid *p);

struct lx_siginfo;
struct pid_ops {
    /* Sends signo to everything p names in the given kind. info NULL: SI_KERNEL. 0 or -ESRCH. */
    int (*signal)(struct pid *p, enum pid_kind kind, int signo, const struct lx_siginfo *info);
    /* The same with the permission check of kill(2) against cred. -EPERM. */
    int (*signal_checked)(struct pid *p, enum pid_kind kind, int signo,
                          const struct lx_siginfo *info);
    /* +1 or NULL; nr as seen by the calling task. */
    struct pid *(*find_get)(lx_pid_t nr);
    /* Is a process group orphaned (job control, setpgid(2))? */
    bool (*pgrp_orphaned)(struct pid *pgrp);
    /* Session of a process group, +1 or NULL. */
    struct pid *(*pgrp_session_get)(struct pid *pgrp);
    bool (*alive)(struct pid *p, enum pid_kind kind);
};
extern const struct pid_ops *g_pid_ops;
