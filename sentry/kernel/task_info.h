/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What procfs (and the control socket) may know about tasks: lookup by pid object, iteration in pid
 * order, and one consistent snapshot of a task's numbers. Implemented by kernel/. Everything here
 * takes TASKSET and locks below it, returns +1 objects and never blocks.
 */
#pragma once

#include "sentry/core/curr.h"
#include "sentry/core/pidns.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"

/* First process (thread group leader) whose number in ns is >= from; +1 or NULL. */
struct pid *pidns_next_process_get(struct pidns *ns, lx_pid_t from, lx_pid_t *out_nr);
/* First thread of t's process whose number in ns is >= from; +1 or NULL. */
struct pid *task_next_thread_get(struct task *t, struct pidns *ns, lx_pid_t from, lx_pid_t *out_nr);
/* The pid object numbered nr in ns; +1 or NULL. */
struct pid *pidns_find_pid_get(struct pidns *ns, lx_pid_t nr);
/* The task that p names as PID_TID (that thread) or PID_TGID (its leader, zombies included);
 * +1 or NULL once it was reaped. */
struct task *pid_task_get(struct pid *p, enum pid_kind kind);
/* Number most recently given out in ns (/proc/loadavg), limit for numbers (pid_max). */
lx_pid_t pidns_last_nr(struct pidns *ns);
lx_pid_t pidns_max_nr(struct pidns *ns);

/* PTRACE_MODE_* of ptrace(2). */
#define LX_PTRACE_MODE_READ    1u
#define LX_PTRACE_MODE_ATTACH  2u
#define LX_PTRACE_MODE_FSCREDS 8u
/* May the caller look into t? 0 or -EACCES/-EPERM. */
int task_ptrace_may_access(struct task *t, uint32_t mode);

/* Did the whole process begin to exit (exit_group, a fatal signal)? */
bool task_process_is_dying(struct task *t);

struct task_info {
    char comm[16];
    char state; /* R S D T t Z X */
    bool zombie, leader, no_new_privs, coredumping;
    /* Numbers as ns (argument of task_info_get) sees them, 0 when invisible there. */
    lx_pid_t tid, tgid, ppid, pgrp, session, tpgid, tracer;
    lx_pid_t ns_tids[PIDNS_MAX_DEPTH]; /* from ns down to the task's own */
    lx_pid_t ns_tgids[PIDNS_MAX_DEPTH];
    uint32_t ns_count;
    lx_dev_t tty;   /* controlling terminal, 0: none */
    uint32_t flags; /* PF_* as field 9 of stat */
    uint32_t thread_count;
    uint64_t utime, stime;                             /* of the thread, ns */
    uint64_t tg_utime, tg_stime, tg_cutime, tg_cstime; /* of the process / waited-for children */
    uint64_t min_faults, maj_faults, cmin_faults, cmaj_faults;
    uint64_t start_boottime; /* ns */
    uint64_t voluntary_switches, involuntary_switches;
    int nice, policy, rt_priority, cpu, exit_signal, exit_code;
    lx_sigset_t pending, shared_pending, blocked, ignored, caught;
    uint32_t sigq_count;
    uint64_t cpus[CPU_WORDS]; /* where it may run */
    uint32_t seccomp_mode, seccomp_filters;
    int oom_score_adj;
    struct io_counts io, tg_io; /* of the thread, of the process */
    uint64_t timer_slack;
    uint32_t personality;
    lx_uid_t loginuid; /* kernel uid; LX_ID_INVALID: none */
    uint32_t sessionid;
    uint64_t rlimit_cur[LX_RLIM_COUNT], rlimit_max[LX_RLIM_COUNT];
    uint64_t syscall_args[6], sp, pc; /* /proc/PID/syscall when blocked */
    int64_t syscall_nr;               /* -1: blocked outside of a call */
    bool syscall_blocked;
    const char *wchan; /* static name or NULL */
};
void task_info_get(struct task *t, struct pidns *ns, struct task_info *out);
/* Writes to /proc/PID/{comm,oom_score_adj,timerslack_ns}; permission was checked. */
void task_set_comm(struct task *t, const char *comm);
int task_set_oom_score_adj(struct task *t, int adj);
void task_set_timer_slack(struct task *t, uint64_t ns);
/* The caller comes from a new login of this kernel uid; LX_ID_INVALID: from none. -EPERM. */
int task_set_loginuid(lx_uid_t kuid);

/* References taken under task.lock; NULL after exit. */
struct mm *task_mm_get(struct task *t);
struct fdtable *task_files_get(struct task *t);
struct fs_ctx *task_fs_get(struct task *t);
struct mntns *task_mntns_get(struct task *t);
struct netns *task_netns_get(struct task *t);
struct cred *task_cred_get(struct task *t);

/* Whole-sandbox numbers for /proc/stat, loadavg, uptime. */
struct kernel_stats {
    uint64_t boot_realtime; /* seconds */
    uint64_t forks, switches;
    uint32_t running, blocked, total_threads;
    uint32_t load[3]; /* load averages times 100 */
    uint64_t mem_total,
        mem_free; /* bytes: the sandbox's limit or the host's memory; sysinfo(2) agrees */
};
void kernel_stats_get(struct kernel_stats *out);
/* Of t's process. */
uint32_t task_thread_count(struct task *t);
/* CPU time that guests have used, all tasks ever. Asks the host about every thread. */
void kernel_cpu_used(uint64_t *out_user_ns, uint64_t *out_system_ns);
/* Copies of the caller's uts strings; buf has 65 bytes. */
void utsns_hostname(struct utsns *ns, char *buf);
void utsns_domainname(struct utsns *ns, char *buf);
/* Binary inode number of the namespaces of t for /proc/PID/ns/NAME ("mnt", "pid", "user", ...); 0
 * when there is no such kind or the task has left it. */
uint64_t task_ns_inum(struct task *t, const char *name);
/* The time namespace that children of t enter, +1; NULL when t has ended. */
struct timens *task_child_timens_get(struct task *t);
