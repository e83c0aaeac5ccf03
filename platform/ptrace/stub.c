/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stub process: taking it under trace, running stub code in it, letting it go.
 *
 * Safety rule: a stub may run untraced, or under PTRACE_CONT, only with its instruction pointer in
 * stub code. Guest code runs under PTRACE_SYSEMU alone. So every path that detaches first points
 * the registers at the park loop, and a stub whose registers cannot be set is killed while it is
 * stopped.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "platform/base/log.h"
#include "platform/host/proc.h"
#include "platform/ptrace/ptrace_internal.h"

enum {
    /* A yield this long (cycles, some 60 us) was no quick hand-over; wait4 for the next stops. */
    YIELD_LONG = 150000,
    YIELD_PAUSE = 16,
    WAIT_FLAGS = __WALL | __WNOTHREAD,
    USER_CS = 0x33,
    USER_DS = 0x2b,
    EFLAGS_NEUTRAL = 0x202, /* interrupts on, bit 1 always set */
};

struct stub_entry g_stub_entry;

extern const uint8_t g_stub_code[], g_stub_park[], g_stub_park_end[], g_stub_batch[],
    g_stub_batch_end[], g_stub_call[], g_stub_call_end[], g_stub_clone[], g_stub_clone_end[],
    g_stub_pair[], g_stub_pair_end[], g_stub_pair_fail_end[];

void stub_entry_init(uaddr_t stub_base)
{
    g_stub_entry = (struct stub_entry){
        .park = stub_base + (uaddr_t)(g_stub_park - g_stub_code),
        .park_end = stub_base + (uaddr_t)(g_stub_park_end - g_stub_code),
        .call = stub_base + (uaddr_t)(g_stub_call - g_stub_code),
        .call_end = stub_base + (uaddr_t)(g_stub_call_end - g_stub_code),
        .clone = stub_base + (uaddr_t)(g_stub_clone - g_stub_code),
        .clone_end = stub_base + (uaddr_t)(g_stub_clone_end - g_stub_code),
        .batch = stub_base + (uaddr_t)(g_stub_batch - g_stub_code),
        .batch_end = stub_base + (uaddr_t)(g_stub_batch_end - g_stub_code),
        .pair = stub_base + (uaddr_t)(g_stub_pair - g_stub_code),
        .pair_end = stub_base + (uaddr_t)(g_stub_pair_end - g_stub_code),
        .pair_fail_end = stub_base + (uaddr_t)(g_stub_pair_fail_end - g_stub_code),
    };
    /* A stop before the first instruction of one routine is not the end of another. */
    ASSERT(g_stub_entry.park_end < g_stub_entry.call && g_stub_entry.call_end < g_stub_entry.pair &&
           g_stub_entry.pair_fail_end < g_stub_entry.clone &&
           g_stub_entry.clone_end < g_stub_entry.batch);
}

/* Waits for the next stop. -ESRCH: it is dead and reaped. */
static int wait_stop(struct stub *s, int *out_status)
{
    int ret;

    do
        ret = host_wait4(s->pid, out_status, WAIT_FLAGS);
    while (ret == -EINTR);
    if (ret == s->pid && WIFSTOPPED(*out_status))
        return 0;
    *s = (struct stub){0};
    return -ESRCH;
}

int stub_seize(struct stub *s)
{
    long ret;
    int status;

    ret = host_ptrace(PTRACE_SEIZE, s->pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
    if (ret < 0) {
        log_debug(LOG_PLATFORM, "ptrace: cannot seize stub %d: %s", s->pid, strerror((int)-ret));
        return (int)ret;
    }
    s->seized = true;
    ret = host_ptrace(PTRACE_INTERRUPT, s->pid, 0, 0);
    if (ret < 0 && ret != -ESRCH)
        return (int)ret;
    return wait_stop(s, &status);
}

void stub_regs_init(struct lx_regs *r, uaddr_t rip)
{
    *r = (struct lx_regs){
        .rip = rip, .cs = USER_CS, .ss = USER_DS, .eflags = EFLAGS_NEUTRAL, .orig_rax = UINT64_MAX};
}

static int set_regs(struct stub *s, struct lx_regs *r)
{
    return (int)host_ptrace(PTRACE_SETREGS, s->pid, 0, (unsigned long)r);
}

void stub_park(struct stub *s)
{
    struct lx_regs r;

    stub_regs_init(&r, g_stub_entry.park);
    if (set_regs(s, &r) < 0 || host_ptrace(PTRACE_DETACH, s->pid, 0, 0) < 0) {
        stub_kill(s);
        return;
    }
    s->seized = false;
}

void stub_kill(struct stub *s)
{
    struct lx_regs r;
    pid_t pid = s->pid;
    int status;

    if (pid == 0)
        return;
    *s = (struct stub){.pid = pid, .seized = s->seized};
    stub_regs_init(&r, g_stub_entry.park);
    if (s->seized && set_regs(s, &r) == 0 && host_ptrace(PTRACE_DETACH, pid, 0, 0) == 0)
        s->seized = false;
    (void)host_kill(pid, SIGKILL); /* gone already is fine */
    /* Untraced children of a parent that ignores SIGCHLD are reaped by the host kernel. */
    while (s->seized && wait_stop(s, &status) == 0)
        ;
    *s = (struct stub){0};
}

int stub_wait(struct stub *s, struct lx_regs *r)
{
    int ret, status;

    if (likely(s->yield_pause == 0)) {
        uint64_t before = __builtin_ia32_rdtsc();

        (void)host_sched_yield();
        if (unlikely(__builtin_ia32_rdtsc() - before > YIELD_LONG))
            s->yield_pause = YIELD_PAUSE;
        if (likely(host_ptrace(PTRACE_GETREGS, s->pid, 0, (unsigned long)r) == 0))
            return 0;
    } else {
        s->yield_pause--;
    }
    ret = wait_stop(s, &status);
    if (ret < 0)
        return ret;
    return host_ptrace(PTRACE_GETREGS, s->pid, 0, (unsigned long)r) < 0 ? -ESRCH : 0;
}

/* Did the stub stop because its code ended, faulted, or for something to be ignored? */
static int classify_stop(struct stub *s, const struct lx_regs *r)
{
    siginfo_t si;

    if (r->rip == g_stub_entry.call_end || r->rip == g_stub_entry.clone_end ||
        r->rip == g_stub_entry.batch_end || r->rip == g_stub_entry.pair_end ||
        r->rip == g_stub_entry.pair_fail_end)
        return 0; /* the trap instruction in front of it was executed */
    if (host_ptrace(PTRACE_GETSIGINFO, s->pid, 0, (unsigned long)&si) < 0)
        return -ESRCH;
    switch (si.si_signo) {
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGSYS:
        return si.si_code > 0 ? -EFAULT : -EAGAIN;
    default:
        return -EAGAIN; /* a kick, or sent by somebody outside */
    }
}

int stub_run(struct stub *s, struct lx_regs *r)
{
    struct lx_regs want = *r;
    int ret;

    ret = set_regs(s, &want);
    while (ret == 0 || ret == -EAGAIN) {
        /* ESRCH: SIGKILL took it out of the stop; the wait tells. */
        (void)host_ptrace(PTRACE_CONT, s->pid, 0, 0);
        ret = stub_wait(s, r);
        if (ret == 0)
            ret = classify_stop(s, r);
        if (ret == 0)
            return 0;
    }
    if (ret == -ESRCH)
        stub_kill(s);
    return ret;
}

long stub_syscall(struct stub *s, long nr, const uint64_t args[6])
{
    struct lx_regs r;
    int ret;

    stub_regs_init(&r, g_stub_entry.call);
    r.rax = (uint64_t)nr;
    r.rdi = args[0];
    r.rsi = args[1];
    r.rdx = args[2];
    r.r10 = args[3];
    r.r8 = args[4];
    r.r9 = args[5];
    ret = stub_run(s, &r);
    return ret < 0 ? ret : (long)r.rax;
}

int stub_syscall_pair(struct stub *s, const struct stub_args calls[2], int *out_error)
{
    const uint64_t *a = calls[0].arg, *b = calls[1].arg;
    struct lx_regs r;
    int ret;

    stub_regs_init(&r, g_stub_entry.pair);
    r.rax = calls[0].nr;
    r.rdi = a[0];
    r.rsi = a[1];
    r.rdx = a[2];
    r.r10 = a[3];
    r.r8 = a[4];
    r.r9 = a[5];
    r.rbx = calls[1].nr;
    r.r12 = b[0];
    r.r13 = b[1];
    r.r14 = b[2];
    r.r15 = b[3];
    r.rbp = b[4];
    r.rsp = b[5];
    ret = stub_run(s, &r);
    if (ret < 0)
        return ret;
    *out_error = 0;
    if (r.rip == g_stub_entry.pair_end && r.rax < (uint64_t)-4095)
        return 2;
    *out_error = (int)r.rax;
    return r.rip == g_stub_entry.pair_end ? 1 : 0;
}

int stub_fork_unregistered(struct stub *s, const struct stub_rseq_area *area, struct stub *out)
{
    struct lx_regs r;
    int ret;

    stub_regs_init(&r, g_stub_entry.pair);
    r.rax = SYS_rseq;
    r.rdi = area->addr;
    r.rsi = RSEQ_AREA_SIZE;
    r.rdx = RSEQ_UNREGISTER;
    r.r10 = area->sig;
    r.rbx = SYS_clone;
    r.r12 = CLONE_FILES | CLONE_FS | CLONE_PARENT | SIGCHLD;
    ret = stub_run(s, &r);
    if (ret < 0)
        return ret;
    if ((int64_t)r.rax <= 0)
        return r.rax ? (int)r.rax : -EPROTO;
    *out = (struct stub){.pid = (pid_t)r.rax};
    return 0;
}

int stub_clone(struct stub *s, bool share_memory, struct stub *out)
{
    struct lx_regs r;
    int ret;

    stub_regs_init(&r, g_stub_entry.clone);
    r.rax = SYS_clone;
    r.rdi = CLONE_FILES | CLONE_FS | CLONE_PARENT | SIGCHLD | (share_memory ? CLONE_VM : 0u);
    ret = stub_run(s, &r);
    if (ret < 0)
        return ret;
    if ((int64_t)r.rax < 0)
        return (int)r.rax;
    *out = (struct stub){.pid = (pid_t)r.rax};
    return 0;
}
