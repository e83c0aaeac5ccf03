/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest threads: the run loop.
 *
 * The thread that owns a ctx runs guest code itself, inside KVM_RUN. All registers go in and come out with
 * it, through the page that is shared with the host (KVM_CAP_SYNC_REGS); ring 0 of the machine is a page of
 * hlt instructions, so whatever ends ring 3 ends KVM_RUN (events.c).
 *
 * seq and interrupt: the owner makes seq odd, then looks at interrupt and at what others want of it
 * (stopped, stale frames, another top table); they set those first and then look at seq. One of
 * the two sees the other. A kick sets immediate_exit and sends a signal that is blocked but during KVM_RUN:
 * one that lands late ends the next KVM_RUN at once and is taken from the queue then.
 *
 * Landing: KVM_RUN can be interrupted between the end of ring 3 and the hlt. Then the registers are
 * of no use to anybody and the virtual CPU must go on until it stands, before the interrupt is told.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/host/kvm.h"
#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "platform/kvm/kvm_internal.h"
#include "sentry/abi/signal.h"

enum {
#ifdef RUNSC_DEBUG
    HIDE_REGS = 1,
#else
    HIDE_REGS = 0,
#endif
};

/* --- life --- */

int kvm_ctx_new(struct platform_space *s, struct platform_ctx *creator, struct platform_ctx **out)
{
    struct platform_ctx *c = calloc(1, sizeof(*c));

    (void)creator;
    if (!c)
        return -ENOMEM;
    c->platform = s->platform;
    c->space = s;
    c->fpu = CTX_FPU_RESET;
    list_init(&c->node);
    placement_init(&c->place);
    mutex_lock(&s->lock);
    list_add_tail(&s->ctxs, &c->node);
    mutex_unlock(&s->lock);
    *out = c;
    return 0;
}

static void leave_space(struct platform_ctx *c)
{
    mutex_lock(&c->space->lock);
    list_del(&c->node);
    mutex_unlock(&c->space->lock);
}

void kvm_ctx_free(struct platform_ctx *c)
{
    placement_detach(&c->place);
    leave_space(c);
    kvm_vcpu_forget(c);
    free(c->xs_pending);
    free(c);
}

int kvm_ctx_switch_space(struct platform_ctx *c, struct platform_space *s)
{
    if (c->space == s)
        return 0;
    leave_space(c);
    c->space = s;
    mutex_lock(&s->lock);
    list_add_tail(&s->ctxs, &c->node);
    mutex_unlock(&s->lock);
    kvm_vcpu_forget(c);
    free(c->xs_pending);
    c->xs_pending = NULL;
    c->fpu = CTX_FPU_RESET;
    c->attached = false;
    c->partial.hidden = false;
    placement_new_program(&c->place);
    return 0;
}

void kvm_ctx_set_cpus(struct platform_ctx *c, const cpu_set_t *cpus)
{
    placement_limit(&c->place, cpus);
}

void kvm_ctx_kick(struct platform_ctx *c)
{
    const pid_t tid = atomic_load(&c->tid);
    struct vcpu *v;

    if (!(atomic_load(&c->seq) & 1))
        return;
    v = atomic_load(&c->vcpu);
    if (!v || !tid)
        return;
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    (void)host_tgkill(c->platform->pid, tid, KICK_SIGNAL); /* gone is fine */
}

void kvm_ctx_interrupt(struct platform_ctx *c)
{
    if (atomic_exchange(&c->interrupt, 1) == 0)
        kvm_ctx_kick(c);
}

void kvm_ctx_regs_pull(struct platform_ctx *c, struct lx_regs *regs)
{
    partial_pull(&c->partial, regs);
}

/* --- extended state --- */

int kvm_ctx_xstate_get(struct platform_ctx *c, void *buf, size_t size)
{
    static const uint16_t fcw = 0x37f;
    static const uint32_t mxcsr = 0x1f80;
    struct vcpu *v;
    int ret;

    if (size < platform_xstate_size())
        return -EINVAL;
    size = platform_xstate_size();
    if (!atomic_load(&c->vcpu) && c->fpu != CTX_FPU_PENDING) {
        memset(buf, 0, size);
        memcpy(buf, &fcw, sizeof(fcw));
        memcpy((uint8_t *)buf + 24, &mxcsr, sizeof(mxcsr));
        return 0;
    }
    ret = kvm_vcpu_claim(c, &v);
    if (ret < 0)
        return ret;
    if (c->fpu != CTX_FPU_OWN)
        ret = kvm_vcpu_xload(c, v);
    if (ret == 0)
        ret = kvm_vcpu_xsave(v, buf, size);
    kvm_vcpu_release(v);
    return ret;
}

int kvm_ctx_xstate_set(struct platform_ctx *c, const void *buf, size_t size)
{
    struct vcpu *v = NULL;
    void *copy;
    int ret;

    if (size != platform_xstate_size())
        return -EINVAL;
    copy = malloc(size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, buf, size);
    /* Keeps others from taking the old state away meanwhile. */
    ret = atomic_load(&c->vcpu) ? kvm_vcpu_claim(c, &v) : 0;
    if (ret < 0) {
        free(copy);
        return ret;
    }
    free(c->xs_pending);
    c->xs_pending = copy;
    c->fpu = CTX_FPU_PENDING;
    if (v)
        kvm_vcpu_release(v);
    return 0;
}

int kvm_ctx_xstate_copy(struct platform_ctx *dst, struct platform_ctx *src)
{
    size_t size = platform_xstate_size();
    void *buf = malloc(size);
    int ret;

    if (!buf)
        return -ENOMEM;
    ret = kvm_ctx_xstate_get(src, buf, size);
    if (ret == 0)
        ret = kvm_ctx_xstate_set(dst, buf, size);
    free(buf);
    return ret;
}

/* --- running --- */

/* The first run of a thread of the sentry: its kicks come during KVM_RUN only. */
static void thread_prepare(struct platform_ctx *c)
{
    static _Thread_local bool done;
    sigset_t kick;

    if (!done) {
        sigemptyset(&kick);
        sigaddset(&kick, KICK_SIGNAL);
        (void)pthread_sigmask(SIG_BLOCK, &kick, NULL);
        done = true;
    }
    atomic_store(&c->tid, host_gettid());
    placement_attach(&c->place, atomic_load(&c->tid), &c->seq); /* its own partner */
    c->attached = true;
}

static void leave_guest(struct platform_ctx *c)
{
    atomic_fetch_add(&c->seq, 1);
}

static void wait_for_world(struct platform *p)
{
    mutex_lock(&p->lock);
    while (atomic_load(&p->stopped))
        cond_wait(&p->changed, &p->lock);
    mutex_unlock(&p->lock);
}

/* What getcpu of the vDSO and lsl show, where the host let the thread run. */
static void show_cpu(struct vcpu *v)
{
    const int cpu = sched_getcpu();

    if (unlikely(cpu != v->cpu && cpu >= 0))
        kvm_vcpu_show_cpu(v, cpu);
}

/* May guest code run? 1: yes, seq is odd. 0: interrupted. 2: others want the virtual CPU, and c has had its
 * turn. */
static int enter_guest(struct platform_ctx *c, struct vcpu *v, const struct lx_regs *regs, bool ran)
{
    struct platform *p = c->platform;

    for (;;) {
        uint64_t root;

        if (!v->landing) {
            if (unlikely(atomic_load(&c->interrupt))) {
                atomic_store(&c->interrupt, 0);
                return 0;
            }
            if (unlikely(ran && atomic_load(&p->waiting)))
                return 2;
        }
        kvm_space_flush(c->space);
        root = atomic_load(&c->space->root);
        if (!v->landing) {
            show_cpu(v);
            kvm_regs_load(p, v, regs, root);
        } else if (v->run->s.regs.sregs.cr3 != root) {
            v->run->s.regs.sregs.cr3 = root;
            v->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
        }
        __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        atomic_fetch_add(&c->seq, 1);
        if (likely((v->landing || !atomic_load(&c->interrupt)) && !atomic_load(&p->stopped) &&
                   atomic_load(&c->space->stale_count) == 0 &&
                   atomic_load(&c->space->root) == root))
            return 1;
        leave_guest(c);
        if (atomic_load(&p->stopped))
            wait_for_world(p);
    }
}

static bool lands(const struct platform *p, const struct vcpu *v)
{
    const struct kvm_sync_regs *s = &v->run->s.regs;

    return (s->sregs.cs.selector & 3) != 3 || s->events.exception.injected ||
           s->events.exception.pending ||
           (p->call_faults && s->regs.rip == KERNEL_CODE + ENTRY_SYSCALL);
}

static void take_kick(void)
{
    sigset_t kick;

    sigemptyset(&kick);
    sigaddset(&kick, KICK_SIGNAL);
    host_sigtake(&kick);
}

/* Lets guest code run until the next exit; seq is odd on entry, even afterwards. 1: *ev is an event.
 * 0: nothing for the guest, run on. Negative: this cannot go on. */
static int run_once(struct platform_ctx *c, struct vcpu *v, struct lx_regs *regs,
                    struct platform_event *ev)
{
    const int ret = host_kvm_number(v->fd, KVM_RUN, 0);

    leave_guest(c);
    if (unlikely(ret == -EINTR || ret == -EAGAIN)) {
        take_kick();
        v->landing = lands(c->platform, v);
        if (!v->landing)
            kvm_regs_store(v, regs);
        return 0;
    }
    v->landing = false;
    if (unlikely(ret == -EFAULT)) {
        kvm_regs_store(v, regs);
        /* Beyond a file's end, or no memory left: the next run ends with a fault there. */
        return kvm_space_find_bad(c->space) ? 0 : -EFAULT;
    }
    if (unlikely(ret < 0))
        return ret;
    if (likely(v->run->exit_reason == KVM_EXIT_HLT))
        return kvm_event_halt(c, v, regs, ev);
    log_warn(LOG_PLATFORM, "kvm: exit %u, rip %#llx", v->run->exit_reason, v->run->s.regs.regs.rip);
    return -EIO;
}

/* With v claimed. As run_once, and 2: others want the virtual CPU. */
static int run_on(struct platform_ctx *c, struct vcpu *v, struct lx_regs *regs,
                  struct platform_event *ev)
{
    int ret = c->fpu == CTX_FPU_OWN ? 0 : kvm_vcpu_xload(c, v);
    bool ran = false;

    if (unlikely(ret < 0))
        return ret;
    if (unlikely(!kvm_canonical(regs->rip))) {
        /* No way leads there: what Linux makes of it on its way back to ring 3. */
        *ev = (struct platform_event){
            .kind = PLATFORM_EXCEPTION, .signo = LX_SIGSEGV, .code = LX_SI_KERNEL};
        return 1;
    }
    do {
        ret = enter_guest(c, v, regs, ran);
        if (ret != 1) {
            if (ret == 0)
                *ev = (struct platform_event){.kind = PLATFORM_INTERRUPTED};
            return ret == 0 ? 1 : ret;
        }
        ret = run_once(c, v, regs, ev);
        ran = true;
    } while (ret == 0);
    return ret;
}

int kvm_ctx_run(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *ev)
{
    struct vcpu *v;
    int ret;

    ASSERT_NONE_HELD();
    if (HIDE_REGS)
        partial_push(&c->partial, regs);
    if (unlikely(!c->attached))
        thread_prepare(c);
    placement_running();
    do {
        ret = kvm_vcpu_claim(c, &v);
        if (ret < 0)
            break;
        ret = run_on(c, v, regs, ev);
        if (unlikely(ret == 2))
            kvm_vcpu_give_up(c, v);
        else
            kvm_vcpu_release(v);
    } while (ret == 2);
    if (likely(ret > 0)) {
        if (HIDE_REGS && ev->kind == PLATFORM_SYSCALL)
            partial_hide(&c->partial, regs);
        return 0;
    }
    log_warn(LOG_PLATFORM, "kvm: guest thread lost: error %d", -ret);
    *ev = (struct platform_event){.kind = PLATFORM_DEAD};
    return 0;
}
