/* SPDX-License-Identifier: Apache-2.0 */
/* Start, stop and probe of the ptrace back end, and its table of operations. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "platform/ptrace/ptrace_internal.h"

extern const struct platform_ops g_platform_ptrace_ops;

enum {
    GUEST_LOW_DEFAULT = 0x10000, /* vm.mmap_min_addr */
    PROBE_ROUNDS = 10,           /* the best counts: others may use the CPU too */
    PROBE_RUNS = 200,
    PROBE_DEADLINE_S = 5,
    PROBE_ADDR = 0x400000,
};

#define MAYBE_FORBIDDEN                                                                            \
    " (ptrace_scope, a container's seccomp profile or another tracer may forbid it)"

static void platform_release(struct platform *p)
{
    if (p->requests)
        (void)host_munmap(p->requests, (size_t)SLOT_COUNT * STUB_PAGE);
    if (p->request_fd >= 0)
        (void)close(p->request_fd);
    if (p->stub_base)
        (void)host_munmap((void *)p->stub_base, STUB_SIZE); /* SAFETY: our own reservation */
    free(p->slot_free);
    free(p);
}

/* The lowest address the host lets an unprivileged process map. */
static uaddr_t guest_low(void)
{
    char text[32];
    unsigned long low = 0;
    int fd = open("/proc/sys/vm/mmap_min_addr", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd >= 0) {
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n > 0) {
            text[n] = '\0';
            low = strtoul(text, NULL, 10);
        }
    }
    low = low > GUEST_LOW_DEFAULT ? low : GUEST_LOW_DEFAULT;
    return align_up(low, STUB_PAGE);
}

static int start(struct platform **out, const char **out_why)
{
    struct platform *p = calloc(1, sizeof(*p));
    void *map;
    int ret;

    *out_why = "allocate";
    if (!p)
        return -ENOMEM;
    mutex_init(&p->master_lock, RANK_STUB_MASTER);
    mutex_init(&p->pool_lock, RANK_LEAF);
    list_init(&p->pool);
    p->slot_next = 1; /* slot 0 is the master's report */
    p->low = guest_low();
    ret = -ENOMEM;
    p->request_fd = -1;
    p->slot_free = calloc(SLOT_COUNT, sizeof(*p->slot_free));
    if (!p->slot_free)
        goto fail;
    *out_why = "make the request file";
    ret = p->request_fd = host_memfd_create("stub-requests", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ret < 0)
        goto fail;
    if (ftruncate(p->request_fd, (off_t)SLOT_COUNT * STUB_PAGE) < 0 ||
        fcntl(p->request_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        ret = -errno;
        goto fail;
    }
    ret = host_mmap(NULL, (size_t)SLOT_COUNT * STUB_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
                    p->request_fd, 0, &map);
    if (ret < 0)
        goto fail;
    p->requests = map;
    /* Stubs that die untraced are reaped by the host kernel. */
    if (signal(SIGCHLD, SIG_IGN) == SIG_ERR) {
        ret = -errno;
        goto fail;
    }
    ret = master_start(p, out_why);
    if (ret < 0)
        goto fail;
    *out = p;
    return 0;
fail:
    platform_release(p);
    return ret;
}

int ptrace_start(const struct platform_config *config, struct platform **out)
{
    const char *why;
    int ret = start(out, &why);

    (void)config;
    if (ret < 0)
        log_error(LOG_PLATFORM, "ptrace: cannot %s: %s%s", why, strerror(-ret),
                  ret == -EPERM || ret == -EACCES ? MAYBE_FORBIDDEN : "");
    return ret;
}

static void ptrace_stop(struct platform *p)
{
    space_pool_drop(p);
    /* The master leads the session and process group of every stub that is left. */
    if (p->master.pid)
        (void)host_kill(-p->master.pid, SIGKILL);
    stub_kill(&p->master);
    platform_release(p);
}

static void ptrace_range(struct platform *p, uaddr_t *out_low, uaddr_t *out_high)
{
    *out_low = p->low;
    *out_high = p->high;
}

/* What the probing child tells its parent. */
struct probe_report {
    int error;
    char why[64];
    uint64_t switch_ns;
};

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Runs `mov $39, %eax; syscall; jmp` in a space and takes the time of a round. */
static int measure(struct platform *p, struct probe_report *report)
{
    static const uint8_t code[] = {0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7};
    struct lx_regs regs = {.rip = PROBE_ADDR, .cs = 0x33, .ss = 0x2b, .eflags = 0x202};
    struct platform_event ev = {.kind = PLATFORM_DEAD};
    struct platform_space *s;
    struct platform_ctx *c;
    uint64_t start_ns, best = UINT64_MAX;
    int fd = host_memfd_create("probe", MFD_CLOEXEC), ret;

    if (fd < 0)
        return fd;
    if (ftruncate(fd, STUB_PAGE) < 0 || pwrite(fd, code, sizeof(code), 0) < 0)
        return -errno;
    ret = ptrace_space_new(p, &s);
    if (ret == 0)
        ret = ptrace_ctx_new(s, NULL, &c);
    if (ret == 0)
        ret = ptrace_space_map(s, PROBE_ADDR, STUB_PAGE, PROT_READ | PROT_EXEC, fd, 0, 0);
    for (int round = 0; round < PROBE_ROUNDS; round++) {
        start_ns = now_ns();
        for (int i = 0; ret == 0 && i < PROBE_RUNS; i++) {
            ret = ptrace_ctx_run(c, &regs, &ev);
            if (ret == 0 && ev.kind != PLATFORM_SYSCALL)
                ret = -EIO;
            regs.rax = 1;
        }
        best = MIN(best, (now_ns() - start_ns) / PROBE_RUNS);
    }
    report->switch_ns = best;
    return ret;
}

static NORETURN void probe_child(int fd)
{
    struct probe_report report = {0};
    const char *why = "";
    struct platform *p = NULL;
    ssize_t n;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)alarm(PROBE_DEADLINE_S);
    report.error = start(&p, &why);
    if (report.error == 0) {
        why = "run a system call in a stub";
        report.error = measure(p, &report);
    }
    snprintf(report.why, sizeof(report.why), "%s", why);
    n = write(fd, &report, sizeof(report));
    if (p)
        ptrace_stop(p);
    _exit(n == (ssize_t)sizeof(report) ? 0 : 1);
}

int ptrace_probe(struct platform_probe *out)
{
    struct probe_report report = {.error = -EIO, .why = "start the probe"};
    int fds[2];
    pid_t pid;

    *out = (struct platform_probe){0};
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        probe_child(fds[1]);
    }
    close(fds[1]);
    if (pid > 0) {
        if (read(fds[0], &report, sizeof(report)) != (ssize_t)sizeof(report)) {
            report.error = -EIO;
            snprintf(report.why, sizeof(report.why), "%s", "run a system call in a stub");
        }
        (void)waitpid(pid, NULL, 0); /* reaped here, or by the host where SIGCHLD is ignored */
    }
    close(fds[0]);
    out->usable = report.error == 0;
    out->switch_ns = out->usable ? report.switch_ns : 0;
    if (out->usable)
        snprintf(out->reason, sizeof(out->reason), "ptrace works, %lu ns for a null call",
                 (unsigned long)report.switch_ns);
    else if (report.error == -EPERM || report.error == -EACCES)
        snprintf(out->reason, sizeof(out->reason), "cannot %.40s: %.30s%s", report.why,
                 strerror(-report.error), MAYBE_FORBIDDEN);
    else
        snprintf(out->reason, sizeof(out->reason), "cannot %.60s: %.60s", report.why,
                 strerror(-report.error));
    return 0;
}

const struct platform_ops g_platform_ptrace_ops = {
    .name = "ptrace",
    .probe = ptrace_probe,
    .start = ptrace_start,
    .stop = ptrace_stop,
    .range = ptrace_range,
    .space_new = ptrace_space_new,
    .space_clone = ptrace_space_clone,
    .space_free = ptrace_space_free,
    .space_map = ptrace_space_map,
    .space_unmap = ptrace_space_unmap,
    .space_protect = ptrace_space_protect,
    .space_clear = ptrace_space_clear,
    .space_barrier = ptrace_space_barrier,
    .ctx_new = ptrace_ctx_new,
    .ctx_free = ptrace_ctx_free,
    .ctx_switch_space = ptrace_ctx_switch_space,
    .ctx_run = ptrace_ctx_run,
    .ctx_regs_pull = ptrace_ctx_regs_pull,
    .ctx_interrupt = ptrace_ctx_interrupt,
    .ctx_xstate_get = ptrace_ctx_xstate_get,
    .ctx_xstate_set = ptrace_ctx_xstate_set,
    .ctx_xstate_copy = ptrace_ctx_xstate_copy,
};
