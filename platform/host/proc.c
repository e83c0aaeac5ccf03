/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on processes and threads; see proc.h. */
#include "platform/host/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "platform/host/host_internal.h"

int host_kill(pid_t pid, int sig)
{
    return (int)raw2(SYS_kill, pid, sig);
}

int host_tgkill(pid_t tgid, pid_t tid, int sig)
{
    return (int)raw3(SYS_tgkill, tgid, tid, sig);
}

int host_wait4(pid_t pid, int *out_status, int options)
{
    return (int)raw4(SYS_wait4, pid, out_status, options, 0);
}

long host_ptrace(int request, pid_t pid, unsigned long addr, unsigned long data)
{
    return raw4(SYS_ptrace, request, pid, addr, data);
}

int host_prctl(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    return (int)raw5(SYS_prctl, op, a, b, c, d);
}

int host_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    return sigaction(sig, act, old) < 0 ? -errno : 0;
}

int host_sched_setaffinity(pid_t tid, size_t size, const cpu_set_t *set)
{
    return (int)raw3(SYS_sched_setaffinity, tid, size, set);
}

int host_sched_yield(void)
{
    return (int)raw0(SYS_sched_yield);
}

pid_t host_gettid(void)
{
    return (pid_t)raw0(SYS_gettid);
}

int host_sigtake(const sigset_t *set)
{
    enum { KERNEL_SET_SIZE = 8 };
    static const struct timespec now;
    long ret = raw4(SYS_rt_sigtimedwait, set, NULL, &now, KERNEL_SET_SIZE);

    return ret > 0 ? (int)ret : 0;
}

int host_prlimit(pid_t pid, int resource, const struct rlimit *set, struct rlimit *out)
{
    return (int)raw4(SYS_prlimit64, pid, resource, set, out);
}

uint64_t host_fds_prepare(void)
{
    struct rlimit rl = {.rlim_cur = 1024, .rlim_max = 1024}, all;
    long fd;

    (void)host_prlimit(0, RLIMIT_NOFILE, NULL, &rl);
    all = (struct rlimit){.rlim_cur = rl.rlim_max, .rlim_max = rl.rlim_max};
    if (rl.rlim_cur < rl.rlim_max && host_prlimit(0, RLIMIT_NOFILE, &all, NULL) == 0)
        rl = all;
    fd = raw3(SYS_fcntl, 0, F_DUPFD_CLOEXEC, MIN(HOST_FDS_ROOM, rl.rlim_cur) - 1);
    if (fd >= 0) /* else it grows when it must */
        (void)raw1(SYS_close, fd);
    return rl.rlim_cur;
}

int64_t host_getrandom(void *buf, size_t size, unsigned flags)
{
    return raw3(SYS_getrandom, buf, size, flags);
}

NORETURN void host_exit_group(int code)
{
    for (;;)
        (void)raw1(SYS_exit_group, code);
}

int host_cpu_clock(pid_t id, bool thread)
{
    /* The kernel's encoding: ~id << 3 | CPUCLOCK_PERTHREAD (4) | CPUCLOCK_SCHED (2). */
    return (int)(~(unsigned)id << 3 | (thread ? 4u : 0) | 2u);
}

uint64_t host_cpu_clock_ns(int clock)
{
    struct timespec ts;

    if (clock_gettime(clock, &ts) < 0)
        return 0;
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
