/* SPDX-License-Identifier: Apache-2.0 */
/* Probes a stub back end in a child process, which may die of what the host does not like. */
#include "platform/stub/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/host/mem.h"

enum {
    PROBE_ROUNDS = 10, /* the best counts: others may use the CPU too */
    PROBE_RUNS = 200,
    PROBE_DEADLINE_S = 5,
    PROBE_ADDR = 0x400000,
};

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
static int measure(const struct platform_ops *ops, struct platform *p, struct probe_report *report)
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
    if (ftruncate(fd, LX_PAGE_SIZE) < 0 || pwrite(fd, code, sizeof(code), 0) < 0)
        return -errno;
    ret = ops->space_new(p, &s);
    if (ret == 0)
        ret = ops->ctx_new(s, NULL, &c);
    if (ret == 0)
        ret = ops->space_map(s, PROBE_ADDR, LX_PAGE_SIZE, PROT_READ | PROT_EXEC, fd, 0, 0);
    for (int round = 0; round < PROBE_ROUNDS; round++) {
        start_ns = now_ns();
        for (int i = 0; ret == 0 && i < PROBE_RUNS; i++) {
            ret = ops->ctx_run(c, &regs, &ev);
            if (ret == 0 && ev.kind != PLATFORM_SYSCALL)
                ret = -EIO;
            regs.rax = 1;
        }
        best = MIN(best, (now_ns() - start_ns) / PROBE_RUNS);
    }
    report->switch_ns = best;
    return ret;
}

static NORETURN void probe_child(const struct platform_ops *ops, stub_start_fn *start, int fd)
{
    struct probe_report report = {0};
    const char *why = "";
    struct platform *p = NULL;
    ssize_t n;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)alarm(PROBE_DEADLINE_S);
    report.error = start(&(struct platform_config){.device = -1}, &p, &why);
    if (report.error == 0) {
        why = "run a system call in a stub";
        report.error = measure(ops, p, &report);
    }
    snprintf(report.why, sizeof(report.why), "%s", why);
    n = write(fd, &report, sizeof(report));
    if (p)
        ops->stop(p);
    _exit(n == (ssize_t)sizeof(report) ? 0 : 1);
}

int stub_probe(const struct platform_ops *ops, stub_start_fn *start, const char *hint,
               struct platform_probe *out)
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
        probe_child(ops, start, fds[1]);
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
    out->usable = out->for_auto = report.error == 0;
    out->switch_ns = out->usable ? report.switch_ns : 0;
    if (out->usable)
        snprintf(out->reason, sizeof(out->reason), "%s works, %lu ns for a null call", ops->name,
                 (unsigned long)report.switch_ns);
    else
        snprintf(out->reason, sizeof(out->reason), "cannot %.40s: %.30s%.80s", report.why,
                 strerror(-report.error),
                 report.error == -EPERM || report.error == -EACCES ? hint : "");
    return 0;
}
