/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order of the sentry's life. Each line of sentry_main's body depends on the ones above it:
 * configuration -> empty root -> privileges dropped -> platform (forks its first stub, which
 * inherits all that and gets a filter of its own) -> subsystems -> system call filter ->
 * container's mounts (first use of the gofer) -> first process -> control. From then on the main
 * thread sleeps until the first process has ended.
 *
 * The process is pid 1 of its namespace: leaving it ends every stub.
 */
#include "sentry/boot/boot.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/lock.h"
#include "platform/base/log.h"
#include "platform/platform.h"
#include "sentry/abi/fcntl.h"
#include "sentry/boot/config.h"
#include "sentry/boot/control.h"
#include "sentry/boot/isolate.h"
#include "sentry/boot/network.h"
#include "sentry/boot/sandbox.h"
#include "sentry/fs/signalfd/signalfd.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/rseq.h"
#include "sentry/kernel/task.h"
#include "sentry/loader/loader.h"
#include "sentry/loader/vdso.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/safecopy.h"
#include "sentry/syscalls/strace.h"
#include "sentry/syscalls/uring/uring.h"

/* Keys: l ->lock */
static struct {
    struct mutex lock; /* rank LEAF */
    struct cond changed;
    bool ended;         /* l: the first process has ended, or the sandbox must */
    int status;         /* l: wait status */
    const char *reason; /* l: why the sandbox ends early, or NULL */
} g_end = {.lock = {.rank = RANK_LEAF}};

void boot_end_sandbox(int status, const char *reason)
{
    mutex_lock(&g_end.lock);
    if (!g_end.ended) {
        g_end.ended = true;
        g_end.status = status;
        g_end.reason = reason;
    }
    cond_wake_all(&g_end.changed);
    mutex_unlock(&g_end.lock);
}

static void panic_context(void)
{
    struct task *t = g_curr ? g_curr->task : NULL;

    if (t)
        fprintf(stderr, "  task %s pid %d, system call %ld, rip %#lx\n", t->comm,
                pid_nr_in(t->curr.tgid, NULL), (long)t->regs.orig_rax, (unsigned long)t->regs.rip);
}

static void host_limits(struct lx_rlimit out[LX_RLIM_COUNT])
{
    for (int i = 0; i < LX_RLIM_COUNT; i++) {
        struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};

        (void)getrlimit((__rlimit_resource_t)i, &r); /* unlimited if the host has no such limit */
        out[i] = (struct lx_rlimit){r.rlim_cur, r.rlim_max};
    }
}

static int start_platform(const struct boot_config *c, const struct platform_ops **out_ops,
                          struct platform **out)
{
    const struct platform_config config = {
        .lanes = c->lanes, .rseq = c->rseq, .device = c->device_fd};
    int ret = platform_start(c->platform, &config, out_ops, out);

    if (ret == 0)
        log_info(LOG_BOOT, "platform %s", (*out_ops)->name);
    return ret;
}

static int step_subsystems(const struct boot_config *c)
{
    const struct platform_ops *ops;
    struct platform *p;
    int ret;

    if ((ret = uaccess_fault_init()) < 0 || (ret = memfile_init(/*limit=*/0)) < 0 ||
        (ret = start_platform(c, &ops, &p)) < 0 || (ret = mm_subsystem_init(ops, p)) < 0 ||
        (ret = vdso_init()) < 0 || (ret = kernel_init(ops, p)) < 0 || (ret = vfs_init()) < 0 ||
        (ret = shmem_init()) < 0)
        return ret;
    signalfd_init();
    uring_init();
    rseq_enable(c->rseq);
    if (c->strace_fd >= 0)
        return strace_init(c->strace_fd, c->strace_json);
    return 0;
}

static int boot_fail(const struct boot_config *c, const struct boot_error *e)
{
    if (c->control_fd >= 0)
        control_report_error(c->control_fd, e);
    else
        fprintf(stderr, "runsc-c: %s\n", e->msg);
    return e->exit_code;
}

static int step_failed(const struct boot_config *c, const char *what, int ret)
{
    struct boot_error e;

    boot_error_set(&e, 1, "sandbox: %s: %s", what, strerror(-ret));
    return boot_fail(c, &e);
}

static void wait_for_end(int *out_status, const char **out_reason)
{
    mutex_lock(&g_end.lock);
    while (!g_end.ended)
        cond_wait(&g_end.changed, &g_end.lock);
    *out_status = g_end.status;
    *out_reason = g_end.reason;
    mutex_unlock(&g_end.lock);
}

static int exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(struct boot_config *c, const struct lx_rlimit *limits)
{
    struct sandbox_process *init;
    struct boot_error e = {0};
    const char *what = "", *reason;
    int ret, status, memory_fd;

    if ((ret = boot_network_open(c, &what)) < 0)
        return step_failed(c, what, ret);
    if ((ret = isolate_root()) < 0)
        return step_failed(c, "cannot enter an empty root", ret);
    if ((ret = isolate_memory_file(&memory_fd)) == 0)
        memfile_provide(memory_fd);
    else
        log_info(LOG_BOOT, "no huge pages: %s", strerror(-ret));
    if ((ret = isolate_privileges(boot_network_capabilities(c))) < 0)
        return step_failed(c, "cannot drop privileges", ret);
    log_phase("sentry jailed");
    if ((ret = step_subsystems(c)) < 0)
        return step_failed(c, "start of the kernel", ret);
    log_phase("kernel started");
    if ((ret = isolate_filter(boot_network_is_host(c))) < 0)
        return step_failed(c, "cannot install the system call filter", ret);
    log_phase("filter installed");
    sandbox_init(limits);
    if (sandbox_container_create(c, &init, &e) < 0)
        return boot_fail(c, &e);
    if ((ret = control_start(init, c->control_fd, c->listen_fd)) < 0)
        return step_failed(c, "control socket", ret);
    log_phase("program loaded");
    control_report_ready(c->control_fd);
    wait_for_end(&status, &reason);
    sandbox_drain_console(init);
    if (reason)
        fprintf(stderr, "runsc-c: the sandbox ended: %s\n", reason);
    else
        control_let_others_end(init);
    init->status = status;
    atomic_store(&init->state, PROCESS_EXITED);
    control_process_exited(init);
    return exit_code(status);
}

enum {
    TRIM_THRESHOLD = 1 << 20,
    PRIME_SIZE = 4 * TRIM_THRESHOLD,
    MMAP_THRESHOLD = 128 * 1024, /* glibc's own */
};

static void *grow_and_shrink(void *arg)
{
    char *p = malloc(PRIME_SIZE);

    if (p)
        *(volatile char *)p = 0; /* or the compiler leaves both calls out */
    free(p);
    return arg;
}

/*
 * glibc opens /proc/sys/vm/overcommit_memory when an arena other than the first shrinks for the
 * first time, and remembers the answer. Inside the jail that open would kill the sentry, so it
 * happens here.
 */
static void prime_malloc(void)
{
    pthread_t t;

    mallopt(M_MMAP_THRESHOLD, 2 * PRIME_SIZE); /* from the arena, not a mapping of its own */
    if (pthread_create(&t, NULL, grow_and_shrink, NULL) == 0)
        pthread_join(t, NULL);
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
}

int sentry_main(int config_fd)
{
    struct lx_rlimit limits[LX_RLIM_COUNT];
    struct boot_config c;

    /* Arenas per thread would cost an idle sandbox megabytes. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    prime_malloc();
    host_limits(limits);
    if (boot_config_load(config_fd, NULL, 0, &c) < 0)
        return 1;
    close(config_fd);
    log_init(c.log_fd, c.log_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
             c.debug ? LOG_DEBUG : LOG_WARN, "sentry");
    (void)log_phases_from(c.started);
    log_phase("sentry configured");
    g_panic_hook = panic_context;
    return run(&c, limits);
}
