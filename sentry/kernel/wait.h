/* SPDX-License-Identifier: Apache-2.0 */
/* wait4(2) and waitid(2) on kernel objects. */
#pragma once

#include "sentry/abi/resource.h"
#include "sentry/core/pid.h"

struct task;

struct wait_request {
    enum { WAIT_ANY, WAIT_PID, WAIT_PGRP } which;
    struct pid *pid; /* borrowed; NULL with WAIT_PID/PGRP: names nobody */
    int options;     /* LX_W* */
};

struct wait_result {
    lx_pid_t pid;    /* 0: nothing ready (WNOHANG) */
    lx_uid_t uid;    /* as the caller's user namespace shows it */
    int status;      /* wait4's status word */
    int code;        /* LX_CLD_* */
    int code_status; /* waitid's si_status */
    struct lx_rusage rusage;
};

/* Waits for a child of the calling task. 0, -ECHILD, -ERESTARTSYS. */
int task_wait_child(struct task *t, const struct wait_request *rq, struct wait_result *out);
