/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master stub: the first process that lends its address space, ancestor of all others. It is
 * forked from the sentry before the jail, gives up every right, maps the stub pages, installs the
 * stub's seccomp filter, and unmaps everything else. It never runs guest code.
 *
 * Between fork and the jump into stub code the child runs on a copy of the sentry's memory; it
 * makes raw system calls only and returns into nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "platform/host/seccomp.h"
#include "platform/ptrace/ptrace_internal.h"

enum {
    CODE_SIZE = STUB_PAGE,
    START_TRIES = 20000,
    START_NAP_NS = 20000, /* the host adds its timer slack */
    RSEQ_FLAG_UNREGISTER_BIT = 1,
    SIGNAL_COUNT = 64,
};

extern const uint8_t g_stub_code[], g_stub_code_end[], g_stub_first[];

/* Highest slots for the stub, in order of preference. One that the sentry itself uses (its stack
 * may be that high) is skipped, because the child still runs on its copy of it. */
static const uaddr_t g_stub_slots[] = {0x7fffffe00000, 0x7fffffc00000, 0x7ffffea00000,
                                       0x7ff000000000, 0x7fe000000000};

/* What parent and child share until the child lets go of its memory: lives in request slot 0. */
struct master_report {
    atomic_int done; /* 1: about to enter stub code; negative: -errno */
    atomic_int stage;
};

static const char *const g_stages[] = {
    "fork",         "setsid",   "reset signals",    "leave rseq",
    "give up caps", "map stub", "set no_new_privs", "install the stub filter",
};

static int drop_rights(atomic_int *stage)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    stack_t no_stack = {.ss_flags = SS_DISABLE};
    struct {
        uint64_t handler, flags, restorer, mask;
    } dfl = {0};
    uint64_t no_signals = 0;
    long ret;

    atomic_store(stage, 1);
    /* Own session: signals of the terminal reach the sentry, never the stubs. */
    (void)syscall(SYS_setsid); /* fails only where it already leads one */
    atomic_store(stage, 2);
    for (int sig = 1; sig <= SIGNAL_COUNT; sig++)
        (void)syscall(SYS_rt_sigaction, sig, &dfl, NULL, 8); /* SIGKILL and SIGSTOP refuse */
    if (syscall(SYS_sigaltstack, &no_stack, NULL) < 0 ||
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, 8) < 0)
        return -errno;
    atomic_store(stage, 3);
    if (__rseq_size > 0) {
        void *area = (char *)__builtin_thread_pointer() + __rseq_offset;

        /* The kernel would write to this area for ever. Registered with its full size by newer C
         * libraries, with the original 32 bytes otherwise. */
        ret = syscall(SYS_rseq, area, 32, RSEQ_FLAG_UNREGISTER_BIT, RSEQ_SIG);
        if (ret < 0)
            ret = syscall(SYS_rseq, area, __rseq_size, RSEQ_FLAG_UNREGISTER_BIT, RSEQ_SIG);
        if (ret < 0)
            return -errno;
    }
    atomic_store(stage, 4);
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* or an unprivileged tracer is refused */
    (void)prctl(PR_SET_NAME, "stub", 0, 0, 0);
    if (syscall(SYS_capset, &head, none) < 0)
        return -errno;
    return 0;
}

/* Refuses everything whose call instruction is outside of the stub's page, then host.tbl's rows. A
 * refused call raises SIGSYS, which the tracer sees: legacy vsyscalls of guests end there. */
static int install_filter(uaddr_t base)
{
    struct sock_filter code[HOST_FILTER_MAX + 8];
    uint32_t hi = (uint32_t)(base >> 32), lo = (uint32_t)base;
    const struct sock_filter prefix[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, hi, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, lo, 0, 1),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, lo + CODE_SIZE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog prog = {.filter = code};
    const struct host_filter *f = host_filter(HOST_ROLE_STUB);

    if (f->count > HOST_FILTER_MAX)
        return -E2BIG;
    memcpy(code, prefix, sizeof(prefix));
    memcpy(code + ARRAY_COUNT(prefix), f->code, f->count * sizeof(code[0]));
    prog.len = (unsigned short)(ARRAY_COUNT(prefix) + f->count);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
        return -errno;
    return 0;
}

/* Sanitizers make system calls of their own before calls that do not return. */
#define NO_SANITIZER                                                                               \
    __attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread")))

NO_SANITIZER static NORETURN void enter_stub(uaddr_t base)
{
    register uint64_t r12 __asm__("r12") = base + STUB_SIZE;
    register uint64_t r13 __asm__("r13") = LX_TASK_SIZE - (base + STUB_SIZE);

    __asm__ volatile("jmp *%0"
                     :
                     : "r"(base + (uaddr_t)(g_stub_first - g_stub_code)), "D"(0ul), "S"(base),
                       "r"(r12), "r"(r13)
                     : "memory");
    __builtin_unreachable();
}

NO_SANITIZER static NORETURN void master_child(struct platform *p, int code_fd,
                                               struct master_report *report)
{
    void *at = (void *)p->stub_base; /* SAFETY: reserved by the parent, nothing lives there */
    int ret = drop_rights(&report->stage);

    if (ret == 0) {
        atomic_store(&report->stage, 5);
        ret = host_mmap(at, CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, code_fd, 0,
                        &at);
    }
    if (ret == 0) {
        atomic_store(&report->stage, 6);
        ret = host_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    if (ret == 0) {
        atomic_store(&report->stage, 7);
        ret = install_filter(p->stub_base);
    }
    if (ret < 0) {
        atomic_store(&report->done, ret);
        host_exit_group(1);
    }
    atomic_store(&report->done, 1);
    enter_stub(p->stub_base);
}

/* A sealed memory file with the stub's code page. */
static int make_code_fd(void)
{
    uint8_t page[CODE_SIZE];
    size_t size = (size_t)(g_stub_code_end - g_stub_code);
    int fd = host_memfd_create("stub-code", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return fd;
    memset(page, 0xcc, sizeof(page)); /* int3 */
    memcpy(page, g_stub_code, size);
    if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        int err = -errno;

        close(fd);
        return err;
    }
    return fd;
}

/* Reserves the stub's slot in the sentry too, so that nothing of the sentry is in the child's way.
 */
static int choose_base(struct platform *p)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_stub_slots); i++) {
        /* SAFETY: NOREPLACE makes any address a question. */
        void *at = (void *)g_stub_slots[i];

        if (host_mmap(at, STUB_SIZE, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0,
                      &at) == 0) {
            p->stub_base = g_stub_slots[i];
            p->high = p->stub_base;
            return 0;
        }
    }
    return -ENOMEM;
}

/* Seizes the master once it sleeps in the park loop with nothing else mapped. */
static int wait_parked(struct stub *s, struct master_report *report)
{
    static const struct timespec nap = {.tv_nsec = START_NAP_NS};
    struct lx_regs r;
    int ret;

    for (int i = 0; i < START_TRIES && atomic_load(&report->done) == 0; i++) {
        if (host_kill(s->pid, 0) < 0)
            return -ECHILD;
        (void)nanosleep(&nap, NULL);
    }
    ret = atomic_load(&report->done);
    if (ret <= 0)
        return ret ? ret : -ETIMEDOUT;
    for (int i = 0; i < START_TRIES; i++) {
        ret = stub_seize(s);
        if (ret < 0)
            return ret;
        if (host_ptrace(PTRACE_GETREGS, s->pid, 0, (unsigned long)&r) < 0)
            return -ESRCH;
        if (r.rip >= g_stub_entry.park && r.rip < g_stub_entry.park_end) {
            stub_park(s);
            return s->pid ? 0 : -ESRCH;
        }
        /* Let go without touching its registers: it is on its way. */
        if (host_ptrace(PTRACE_DETACH, s->pid, 0, 0) < 0)
            return -ESRCH;
        s->seized = false;
        (void)nanosleep(&nap, NULL);
    }
    return -ETIMEDOUT;
}

int master_start(struct platform *p, const char **out_why)
{
    /* SAFETY: request slot 0 is not handed out to spaces. */
    struct master_report *report = (struct master_report *)(void *)p->requests;
    int code_fd, ret;
    long pid;

    *out_why = "reserve an address for the stub";
    ret = choose_base(p);
    if (ret < 0)
        return ret;
    stub_entry_init(p->stub_base);
    *out_why = "make the stub's code file";
    code_fd = make_code_fd();
    if (code_fd < 0)
        return code_fd;
    *out_why = g_stages[0];
    pid = syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        master_child(p, code_fd, report);
    if (pid < 0) {
        ret = -errno;
        goto out;
    }
    p->master = (struct stub){.pid = (pid_t)pid};
    ret = wait_parked(&p->master, report);
    if (ret < 0) {
        int stage = atomic_load(&report->stage);

        *out_why = atomic_load(&report->done) == 1 ? "trace the stub" : g_stages[stage];
        stub_kill(&p->master);
    }
out:
    close(code_fd);
    return ret;
}

int master_clone(struct platform *p, struct stub *out)
{
    int ret;

    mutex_lock(&p->master_lock);
    placement_follow(p->master.pid);
    ret = p->master.pid ? stub_seize(&p->master) : -ESRCH;
    if (ret == 0) {
        ret = stub_clone(&p->master, /*share_memory=*/false, out);
        if (p->master.pid)
            stub_park(&p->master);
    }
    mutex_unlock(&p->master_lock);
    return ret == -ESRCH ? -EAGAIN : ret;
}
