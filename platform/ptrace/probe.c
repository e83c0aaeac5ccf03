/* SPDX-License-Identifier: Apache-2.0 */
/* Start, stop and probe of the ptrace back end, and its table of operations. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "platform/ptrace/ptrace_internal.h"
#include "platform/stub/probe.h"

extern const struct platform_ops g_platform_ptrace_ops;

#define MAYBE_FORBIDDEN                                                                            \
    " (ptrace_scope, a container's seccomp profile or another tracer may forbid it)"

static void platform_release(struct platform *p)
{
    slots_destroy(&p->requests);
    slots_destroy(&p->aliases);
    if (p->stub_base)
        (void)host_munmap((void *)p->stub_base, STUB_SIZE); /* SAFETY: our own reservation */
    free(p);
}

static int start(const struct platform_config *config, struct platform **out, const char **out_why)
{
    struct platform *p = calloc(1, sizeof(*p));
    int ret;

    (void)config;
    *out_why = "allocate";
    if (!p)
        return -ENOMEM;
    mutex_init(&p->master_lock, RANK_STUB_MASTER);
    *out_why = "make the request file";
    ret = stub_platform_init(&p->base);
    if (ret == 0)
        ret = slots_init(&p->requests, "stub-requests", STUB_PAGE);
    if (ret == 0)
        ret = slots_init(&p->aliases, "stub-rseq", STUB_PAGE);
    if (ret < 0)
        goto fail;
    p->report_slot = slots_get(&p->requests);
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
    stub_rseq_enable(config && config->rseq);
    return stub_platform_start(config, out, "ptrace", start, MAYBE_FORBIDDEN);
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

int ptrace_probe(struct platform_probe *out)
{
    return stub_probe(&g_platform_ptrace_ops, start, MAYBE_FORBIDDEN, out);
}

const struct platform_ops g_platform_ptrace_ops = {
    .name = "ptrace",
    .probe = ptrace_probe,
    .start = ptrace_start,
    .stop = ptrace_stop,
    .range = stub_platform_range,
    .space_new = ptrace_space_new,
    .space_clone = ptrace_space_clone,
    .space_free = ptrace_space_free,
    .space_map = stub_space_map,
    .space_unmap = stub_space_unmap,
    .space_protect = stub_space_protect,
    .space_clear = stub_space_clear,
    .space_barrier = ptrace_space_barrier,
    .ctx_new = ptrace_ctx_new,
    .ctx_free = ptrace_ctx_free,
    .ctx_switch_space = ptrace_ctx_switch_space,
    .ctx_run = ptrace_ctx_run,
    .ctx_regs_pull = ptrace_ctx_regs_pull,
    .ctx_interrupt = ptrace_ctx_interrupt,
    .ctx_xstate_get = ptrace_ctx_xstate_get,
    .ctx_xstate_set = ptrace_ctx_xstate_set,
    .ctx_set_cpus = ptrace_ctx_set_cpus,
    .ctx_rseq = ptrace_ctx_rseq,
    .ctx_cpu_clock = ptrace_ctx_cpu_clock,
    .ctx_xstate_copy = ptrace_ctx_xstate_copy,
};
