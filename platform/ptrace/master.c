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
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "platform/host/seccomp.h"
#include "platform/ptrace/ptrace_internal.h"
#include "platform/stub/process.h"

enum {
    CODE_SIZE = STUB_PAGE,
    START_TRIES = 20000,
    START_NAP_NS = 20000, /* the host adds its timer slack */
};

extern const uint8_t g_stub_code[], g_stub_code_end[], g_stub_first[];

/* Highest slots for the stub, in order of preference. One that the sentry itself uses (its stack
 * may be that high) is skipped, because the child still runs on its copy of it. */
static const uaddr_t g_stub_slots[] = {0x7fffffe00000, 0x7fffffc00000, 0x7ffffea00000,
                                       0x7ff000000000, 0x7fe000000000};

/* What parent and child share until the child lets go of its memory: lives in request slot 0. */
struct master_report {
    atomic_int done; /* 1: about to enter stub code; negative: -errno */
    const char *volatile stage;
};

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
    int ret = stub_drop_rights(&report->stage);

    (void)host_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* or an unprivileged tracer is refused */

    if (ret == 0) {
        report->stage = "map stub";
        ret = host_mmap(at, CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, code_fd, 0,
                        &at);
    }
    if (ret == 0) {
        report->stage = "set no_new_privs";
        ret = host_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    if (ret == 0) {
        /* A refused call raises SIGSYS, which the tracer sees: legacy vsyscalls of guests end
         * there. */
        report->stage = "install the stub filter";
        ret = stub_filter_install(host_filter(HOST_ROLE_STUB), p->stub_base,
                                  p->stub_base + CODE_SIZE, SECCOMP_RET_TRAP);
    }
    if (ret < 0) {
        atomic_store(&report->done, ret);
        host_exit_group(1);
    }
    atomic_store(&report->done, 1);
    enter_stub(p->stub_base);
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
            p->base.high = p->stub_base - ALIASES_SIZE;
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
    struct master_report *report = slots_at(&p->requests, p->report_slot);
    int code_fd, ret;
    long pid;

    *out_why = "reserve an address for the stub";
    ret = choose_base(p);
    if (ret < 0)
        return ret;
    stub_entry_init(p->stub_base);
    *out_why = "make the stub's code file";
    code_fd = stub_image_file(g_stub_code, (size_t)(g_stub_code_end - g_stub_code));
    if (code_fd < 0)
        return code_fd;
    *out_why = report->stage = "fork";
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
        *out_why = atomic_load(&report->done) == 1 ? "trace the stub" : report->stage;
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
