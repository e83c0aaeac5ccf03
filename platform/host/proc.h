/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on processes, threads, signals, limits and randomness. */
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

int host_kill(pid_t pid, int sig);
int host_tgkill(pid_t tgid, pid_t tid, int sig);
/* options: WNOHANG, __WALL, __WNOTHREAD, ... pid, 0 or -errno. */
int host_wait4(pid_t pid, int *out_status, int options);
/* The kernel's own semantics: PEEK requests store through data. */
long host_ptrace(int request, pid_t pid, unsigned long addr, unsigned long data);
int host_prctl(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
/* The C library's view: it adds the restorer the kernel needs. */
int host_sigaction(int sig, const struct sigaction *act, struct sigaction *old);
int host_sched_setaffinity(pid_t tid, size_t size, const cpu_set_t *set);
int host_sched_yield(void);
pid_t host_gettid(void);
/* Takes one of the signals, which are blocked, from the queue if there is one; 0: there was none. */
int host_sigtake(const sigset_t *set);
/* Id of the scheduler's clock of a process, or of a thread of this one; never 0. */
int host_cpu_clock(pid_t id, bool thread);
/* What it shows in ns, 0 when whom it counts is gone. */
uint64_t host_cpu_clock_ns(int clock);
int host_prlimit(pid_t pid, int resource, const struct rlimit *set, struct rlimit *out);
/*
 * While the process has one thread: raises the soft limit of descriptors to the hard one, and makes
 * the descriptor table long enough for HOST_FDS_ROOM of them. A table that threads share grows only after
 * an RCU grace period, 8 to 16 ms in the middle of somebody's open (expand_fdtable in fs/file.c of
 * Linux). Returns the limit.
 */
#define HOST_FDS_ROOM 1024u
uint64_t host_fds_prepare(void);
int64_t host_getrandom(void *buf, size_t size, unsigned flags);
NORETURN void host_exit_group(int code);
