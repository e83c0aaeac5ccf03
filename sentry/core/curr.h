/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the layers below kernel/ may know about the calling task. `struct task` embeds it first;
 * sentry service threads (timers, control) have a plain one with kernel credentials.
 */
#pragma once

#include "sentry/core/cred.h"
#include "sentry/core/pid.h"
#include "sentry/core/sleep.h"

struct file;
struct mm;
struct fs_ctx;
struct fdtable;
struct netns;
struct ipcns;
struct utsns;
struct mntns;
struct cgroupns;
struct timens;

#define LX_RLIMIT_CPU        0
#define LX_RLIMIT_FSIZE      1
#define LX_RLIMIT_DATA       2
#define LX_RLIMIT_STACK      3
#define LX_RLIMIT_CORE       4
#define LX_RLIMIT_RSS        5
#define LX_RLIMIT_NPROC      6
#define LX_RLIMIT_NOFILE     7
#define LX_RLIMIT_MEMLOCK    8
#define LX_RLIMIT_AS         9
#define LX_RLIMIT_LOCKS      10
#define LX_RLIMIT_SIGPENDING 11
#define LX_RLIMIT_MSGQUEUE   12
#define LX_RLIMIT_NICE       13
#define LX_RLIMIT_RTPRIO     14
#define LX_RLIMIT_RTTIME     15
#define LX_RLIM_COUNT        16
#define LX_RLIM_INFINITY     (~0ull)

/* What a task read and wrote through files: /proc/PID/io. */
struct io_counts {
    uint64_t rchar, wchar; /* bytes */
    uint64_t syscr, syscw; /* operations */
};

enum append_rule { APPEND_AS_OPENED, APPEND_ALWAYS, APPEND_NEVER };

/* Keys: T own thread only; m written by its own thread under task.lock, others read under it.
 * All pointers hold a reference (+1) unless NULL. */
struct curr {
    struct sleeper sleeper;
    struct cred *cred;         /* m */
    struct mm *mm;             /* m; NULL in service threads and after exit_mm */
    struct fs_ctx *fs;         /* m */
    struct fdtable *files;     /* m */
    struct mntns *mntns;       /* m */
    struct netns *netns;       /* m */
    struct ipcns *ipcns;       /* m */
    struct utsns *utsns;       /* m */
    struct cgroupns *cgroupns; /* m */
    struct timens *timens;     /* m */
    struct timens
        *child_timens;      /* m: where children with memory of their own, and the next exec, go */
    struct pidns *pidns;    /* m: the namespace its own pid lives in */
    struct pid *tid, *tgid; /* m; change only in exec of a non-leader */
    struct task *task;      /* I: the task it is embedded in, NULL in service threads */
    struct io_counts io;    /* T, racy readers */
    /* While io_uring runs a request: the file that FD_OF_REQUEST names, and nobody may sleep. */
    struct file *request_file; /* T, borrowed, or NULL */
    bool nowait;               /* T */
    atomic_int cpu;            /* a: where it last went to sleep */
    /* T: the write under way goes to the end, or does not, whatever O_APPEND says (RWF_APPEND, RWF_NOAPPEND) */
    enum append_rule append;
    uint16_t memcg; /* memcg lock: who pays for pages that it allocates (mm/memcg.h) */
};

extern _Thread_local struct curr *g_curr;

/* The calling thread's; never NULL (service threads are given one by thread_start). */
static inline struct curr *curr(void)
{
    return g_curr;
}

/* Inverted needs, filled by kernel/ at boot. */
struct curr_ops {
    /* Soft limit of the calling task (LX_RLIM_INFINITY in service threads). */
    uint64_t (*rlimit)(int resource);
    /* Sends signo to the calling thread / its process, as the kernel (SIGPIPE, SIGXFSZ,
     * SIGTTIN...). */
    void (*raise_thread)(int signo);
    void (*raise_process)(int signo);
    /* Session and process group of the caller, +1. */
    struct pid *(*session_get)(void);
    struct pid *(*pgrp_get)(void);
    /* Is signo blocked or ignored by the caller (tty job control)? */
    bool (*signal_ignored_or_blocked)(int signo);
    bool (*is_session_leader)(void);
};
extern const struct curr_ops *g_curr_ops;

/* Starts a sentry service thread (detached, 64 KiB stack, kernel credentials). name <= 15 bytes. */
int thread_start(const char *name, void (*fn)(void *), void *arg);
