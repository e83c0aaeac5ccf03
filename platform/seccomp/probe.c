/* SPDX-License-Identifier: Apache-2.0 */
/* Start, stop and probe of the seccomp back end, and its table of operations. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "platform/seccomp/seccomp_internal.h"
#include "platform/stub/probe.h"

extern const struct platform_ops g_platform_seccomp_ops;

enum {
    FRAME_MIN = 2048,   /* what AT_MINSIGSTKSZ says at least */
    FRAME_EXTRA = 1024, /* beside one frame: the slot's own words, alignment */
    STACK_SIZE_MIN = 0x2000,
};

#define MAYBE_FORBIDDEN " (Linux 5.8 is needed, and a container's seccomp profile may forbid it)"

static void platform_release(struct platform *p)
{
    slots_destroy(&p->requests);
    slots_destroy(&p->stacks);
    seccomp_sites_destroy(p);
    if (p->stub_base)
        (void)host_munmap((void *)p->stub_base, STUB_FIXED_SIZE); /* SAFETY: our reservation */
    free(p);
}

static void seccomp_stop(struct platform *p)
{
    seccomp_pool_drop(p);
    /* The master leads the session and process group of every stub that is left. */
    if (p->master.pid)
        (void)host_kill(-p->master.pid, SIGKILL);
    seccomp_control_kill(p, &p->master);
    platform_release(p);
}

/* One guest thread: only that shows whether the host lets a process listen. It waits in the pool
 * for the first program. */
static int start_thread(struct platform *p)
{
    struct platform_space *s;
    int ret = seccomp_space_new(p, &s);

    if (ret < 0)
        return ret;
    mutex_lock(&s->base.lock);
    ret = seccomp_thread_new_locked(s, &s->spares[0]);
    s->spare_count = ret == 0;
    mutex_unlock(&s->base.lock);
    seccomp_space_free(s);
    return ret;
}

static int start(const struct platform_config *config, struct platform **out, const char **out_why)
{
    struct platform *p = calloc(1, sizeof(*p));
    size_t frame = getauxval(AT_MINSIGSTKSZ);
    int ret;

    (void)config;
    *out_why = "allocate";
    if (!p)
        return -ENOMEM;
    mutex_init(&p->master_lock, RANK_STUB_MASTER);
    p->master = (struct control){.report_fd = -1, .page = SLOT_NONE};
    *out_why = "look at a signal frame";
    ret = stub_platform_init(&p->base);
    if (ret == 0)
        ret = seccomp_frame_init(p);
    if (ret < 0)
        goto fail;
    *out_why = "make the request file";
    ret = slots_init(&p->requests, "stub-requests", STUB_PAGE);
    if (ret < 0)
        goto fail;
    p->stack_size = MAX((size_t)STACK_SIZE_MIN,
                        align_up(MAX(frame, (size_t)FRAME_MIN) + FRAME_EXTRA, STUB_PAGE));
    ret = slots_init(&p->stacks, "stub-stacks", p->stack_size + (p->base.has_rseq ? STUB_PAGE : 0));
    if (ret < 0)
        goto fail;
    *out_why = "make the file of call sites";
    ret = seccomp_sites_init(p);
    if (ret < 0)
        goto fail;
    ret = seccomp_master_start(p, out_why);
    if (ret < 0)
        goto fail;
    *out_why = "listen to the calls of a process";
    ret = start_thread(p);
    if (ret < 0) {
        seccomp_stop(p);
        return ret;
    }
    *out = p;
    return 0;
fail:
    platform_release(p);
    return ret;
}

int seccomp_start(const struct platform_config *config, struct platform **out)
{
    seccomp_lane_init(config ? config->lanes : PLATFORM_LANES_AUTO);
    stub_rseq_enable(config && config->rseq);
    return stub_platform_start(config, out, "seccomp", start, MAYBE_FORBIDDEN);
}

int seccomp_probe(struct platform_probe *out)
{
    int ret;

    seccomp_lane_init(PLATFORM_LANES_AUTO);
    ret = stub_probe(&g_platform_seccomp_ops, start, MAYBE_FORBIDDEN, out);

    out->reports_access = true;
    return ret;
}

const struct platform_ops g_platform_seccomp_ops = {
    .name = "seccomp",
    .probe = seccomp_probe,
    .start = seccomp_start,
    .stop = seccomp_stop,
    .range = stub_platform_range,
    .space_new = seccomp_space_new,
    .space_clone = seccomp_space_clone,
    .space_free = seccomp_space_free,
    .space_map = stub_space_map,
    .space_unmap = stub_space_unmap,
    .space_protect = stub_space_protect,
    .space_clear = stub_space_clear,
    .space_barrier = seccomp_space_barrier,
    .ctx_new = seccomp_ctx_new,
    .ctx_free = seccomp_ctx_free,
    .ctx_switch_space = seccomp_ctx_switch_space,
    .ctx_run = seccomp_ctx_run,
    .space_site = seccomp_space_site,
    .space_room = seccomp_space_room,
    .space_sites_off = seccomp_space_sites_off,
    .ctx_answers = seccomp_ctx_answers,
    .space_waiters = seccomp_space_waiters,
    .ctx_regs_pull = seccomp_ctx_regs_pull,
    .ctx_interrupt = seccomp_ctx_interrupt,
    .ctx_xstate_get = seccomp_ctx_xstate_get,
    .ctx_xstate_set = seccomp_ctx_xstate_set,
    .ctx_set_cpus = seccomp_ctx_set_cpus,
    .ctx_rseq = seccomp_ctx_rseq,
    .ctx_cpu_clock = seccomp_ctx_cpu_clock,
    .ctx_xstate_copy = seccomp_ctx_xstate_copy,
};
