/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual CPUs. A guest thread gets one at its first run and keeps it as long as there are enough; it
 * holds nothing then but the thread's extended state, for all other registers go in and out with each run.
 * When there are more threads than virtual CPUs, one is taken from a thread that is not in guest code; if all
 * are, a thread that has run for a while gives its own up.
 *
 * Claim: who has set it may use the virtual CPU and its fields; the owner of a thread holds it from the
 * beginning of ctx_run to the end. A virtual CPU on the idle list belongs to no thread and is not claimed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "platform/base/log.h"
#include "platform/host/file.h"
#include "platform/host/kvm.h"
#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "platform/kvm/kvm_internal.h"

enum {
    SLICE_NS = 10000000, /* what a thread may keep a virtual CPU for that others wait for */
    FXSAVE_FCW = 0,
    FXSAVE_MXCSR = 24,
    FXSAVE_MXCSR_MASK = 28,
    XSAVE_HEADER = 512,
    FCW_DEFAULT = 0x37f,
    MXCSR_DEFAULT = 0x1f80,
    MSR_STAR = (int)0xc0000081,
    MSR_LSTAR = (int)0xc0000082,
    MSR_CSTAR = (int)0xc0000083,
    MSR_SYSCALL_MASK = (int)0xc0000084,
    MSR_TSC_AUX = (int)0xc0000103,
    /* Linux: flags that a system call clears: TF, DF, IF, IOPL, NT, RF, AC, ID, arithmetic ones. */
    SYSCALL_MASK = 0x257fd5,
};

/* --- setup --- */

static int set_msrs(struct vcpu *v, const struct kvm_msr_entry *entries, unsigned count)
{
    struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + count * sizeof(*entries));
    int ret;

    if (!msrs)
        return -ENOMEM;
    msrs->nmsrs = count;
    memcpy(msrs->entries, entries, count * sizeof(*entries));
    ret = host_kvm(v->fd, KVM_SET_MSRS, msrs);
    free(msrs);
    return ret < 0 ? ret : (unsigned)ret == count ? 0 : -EIO;
}

/* Where system calls enter ring 0. */
static int set_entries(struct vcpu *v)
{
    const struct kvm_msr_entry entries[] = {
        {.index = (uint32_t)MSR_STAR,
         .data = (uint64_t)SYSRET_BASE << 48 | (uint64_t)KERNEL_CS << 32},
        {.index = (uint32_t)MSR_LSTAR, .data = KERNEL_CODE + ENTRY_SYSCALL},
        {.index = (uint32_t)MSR_CSTAR, .data = KERNEL_CODE + ENTRY_SYSCALL32},
        {.index = (uint32_t)MSR_SYSCALL_MASK, .data = SYSCALL_MASK}};

    return set_msrs(v, entries, ARRAY_COUNT(entries));
}

/* The time stamp counter is the host's: the guest's vDSO reads clocks with it. */
static int set_tsc(struct vcpu *v)
{
    uint64_t offset = 0;
    struct kvm_device_attr attr = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uint64_t)&offset};

    return host_kvm(v->fd, KVM_SET_DEVICE_ATTR, &attr);
}

/* The host's own, or the part of it that KVM gives its machines. */
static int set_xcr0(struct platform *p, struct vcpu *v) REQUIRES(p->lock)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 1};
    int ret;

    xcrs.xcrs[0].value = p->xcr0;
    ret = host_kvm(v->fd, KVM_SET_XCRS, &xcrs);
    if (ret == -EINVAL && p->xcr0 != p->xcr0_sure) {
        p->xcr0 = p->xcr0_sure;
        ret = set_xcr0(p, v);
    }
    return ret;
}

/* While KVM_RUN lasts the kick gets through, and nothing else does. */
static int set_signals(struct vcpu *v)
{
    const uint64_t blocked = ~(1ul << (KICK_SIGNAL - 1));
    struct kvm_signal_mask *mask = calloc(1, sizeof(*mask) + sizeof(blocked));
    int ret;

    if (!mask)
        return -ENOMEM;
    mask->len = sizeof(blocked);
    memcpy(mask->sigset, &blocked, sizeof(blocked));
    ret = host_kvm(v->fd, KVM_SET_SIGNAL_MASK, mask);
    free(mask);
    return ret;
}

static void fill_page(struct vcpu *v)
{
    const uaddr_t at = KERNEL_CPUS + v->index * LX_PAGE_SIZE, tss = at + CPU_TSS;
    enum { TSS_RSP0 = 4, TSS_IST1 = 0x24, TSS_IOMAP = 0x66, TSS_LIMIT = 0x67 };
    const uint64_t stack = at + CPU_STACK_TOP;
    const uint16_t iomap = TSS_LIMIT + 1; /* no map: no port is anybody's */
    uint64_t gdt[GDT_ENTRIES] = {0};

    /* Flat segments, present; 64-bit code has L, the others what Linux gives them. */
    gdt[KERNEL_CS / 8] = 0x00af9b000000ffff;
    gdt[KERNEL_SS / 8] = 0x00cf93000000ffff;
    gdt[USER32_CS / 8] = 0x00cffb000000ffff;
    gdt[USER_SS / 8] = 0x00cff3000000ffff;
    gdt[USER64_CS / 8] = 0x00affb000000ffff;
    gdt[TSS_SELECTOR / 8] =
        0x0000890000000000 | TSS_LIMIT | (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56;
    gdt[TSS_SELECTOR / 8 + 1] = tss >> 32;
    gdt[CPU_NODE_SELECTOR / 8] = 0x0040f50000000000;
    memcpy(v->page + CPU_GDT, gdt, sizeof(gdt));
    /* For every exception, from ring 0 too: there one comes with the stack of the guest, if it single-steps into
     * a system call behind a load of ss (CVE-2018-8897). */
    memcpy(v->page + CPU_TSS + TSS_IST1, &stack, sizeof(stack));
    memcpy(v->page + CPU_TSS + TSS_RSP0, &stack, sizeof(stack));
    memcpy(v->page + CPU_TSS + TSS_IOMAP, &iomap, sizeof(iomap));
    v->cpu = -1;
}

void kvm_vcpu_show_cpu(struct vcpu *v, int cpu)
{
    const struct kvm_msr_entry aux = {.index = (uint32_t)MSR_TSC_AUX, .data = (uint32_t)cpu};
    uint8_t *limit = v->page + CPU_GDT + (CPU_NODE_SELECTOR & ~7);

    v->cpu = cpu;
    memcpy(limit, &(uint16_t){(uint16_t)(cpu & 0xfff)}, sizeof(uint16_t));
    IGNORE_RESULT(set_msrs(v, &aux, 1)); /* a processor without rdtscp has none */
}

static void vcpu_free(struct platform *p, struct vcpu *v)
{
    if (v->run)
        (void)host_munmap(v->run, p->run_size);
    if (v->fd >= 0)
        (void)host_close(v->fd);
    free(v);
}

static int setup(struct platform *p, struct vcpu *v) REQUIRES(p->lock)
{
    void *run = NULL;
    int ret;

    v->fd = host_kvm_number(p->vm, KVM_CREATE_VCPU, v->index);
    if (v->fd < 0)
        return v->fd;
    ret = host_mmap(NULL, p->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0, &run);
    v->run = run;
    if (ret == 0)
        ret = host_kvm(v->fd, KVM_SET_CPUID2, p->cpuid);
    if (ret == 0)
        ret = set_xcr0(p, v);
    if (ret == 0)
        ret = set_entries(v);
    if (ret == 0)
        ret = set_tsc(v);
    if (ret == 0)
        ret = set_signals(v);
    if (ret == 0)
        ret = host_kvm(v->fd, KVM_GET_SREGS, &v->run->s.regs.sregs);
    if (ret < 0)
        return ret;
    v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
    v->page = kvm_ptr(p, (uint64_t)p->cpu_pages[v->index] * LX_PAGE_SIZE);
    fill_page(v);
    return 0;
}

/* A new one, claimed. */
static int create_locked(struct platform *p, struct vcpu **out) REQUIRES(p->lock)
{
    const unsigned index = atomic_load(&p->vcpu_count);
    struct vcpu *v = calloc(1, sizeof(*v));
    int ret;

    if (!v)
        return -ENOMEM;
    v->index = index;
    v->fd = -1;
    list_init(&v->idle_node);
    ret = setup(p, v);
    if (ret < 0) {
        vcpu_free(p, v);
        return ret;
    }
    atomic_store(&v->claim, true);
    p->vcpus[index] = v;
    atomic_store(&p->vcpu_count, index + 1);
    *out = v;
    return 0;
}

void kvm_vcpus_free(struct platform *p)
{
    for (unsigned i = 0; i < atomic_load(&p->vcpu_count); i++)
        vcpu_free(p, p->vcpus[i]);
    atomic_store(&p->vcpu_count, 0);
}

/* --- extended state --- */

int kvm_vcpu_xsave(struct vcpu *v, void *buf, size_t size)
{
    struct platform *p = v->ctx->platform;
    void *all = calloc(1, p->xsave_size);
    int ret;

    if (!all)
        return -ENOMEM;
    ret = host_kvm(v->fd, KVM_GET_XSAVE2, all);
    if (ret == 0)
        memcpy(buf, all, MIN(size, p->xsave_size));
    free(all);
    return ret;
}

/* What a program begins with. */
static void xstate_default(uint8_t *buf)
{
    const uint16_t fcw = FCW_DEFAULT;
    const uint32_t mxcsr = MXCSR_DEFAULT;

    memcpy(buf + FXSAVE_FCW, &fcw, sizeof(fcw));
    memcpy(buf + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
}

/* An image of a guest's making may have bits that do not exist: the host refuses it as a whole. */
static void xstate_repair(const struct platform *p, uint8_t *buf)
{
    const uint64_t components = p->xcr0;
    uint64_t present;
    uint32_t mxcsr;

    memcpy(&present, buf + XSAVE_HEADER, sizeof(present));
    present &= components;
    memset(buf + XSAVE_HEADER, 0, 64);
    memcpy(buf + XSAVE_HEADER, &present, sizeof(present));
    memcpy(&mxcsr, buf + FXSAVE_MXCSR, sizeof(mxcsr));
    mxcsr &= 0xffff;
    memcpy(buf + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
}

int kvm_vcpu_xload(struct platform_ctx *c, struct vcpu *v)
{
    const struct platform *p = c->platform;
    uint8_t *all = calloc(1, p->xsave_size);
    int ret;

    if (!all)
        return -ENOMEM;
    if (c->fpu == CTX_FPU_PENDING)
        memcpy(all, c->xs_pending, MIN(platform_xstate_size(), p->xsave_size));
    else
        xstate_default(all);
    ret = host_kvm(v->fd, KVM_SET_XSAVE, all);
    if (ret == -EINVAL) {
        xstate_repair(p, all);
        ret = host_kvm(v->fd, KVM_SET_XSAVE, all);
    }
    free(all);
    if (ret == 0)
        c->fpu = CTX_FPU_OWN;
    return ret;
}

/* --- who has which --- */

static bool try_claim(struct vcpu *v)
{
    return !atomic_exchange(&v->claim, true);
}

/* Saves what v, which is claimed, has of its thread, and makes it nobody's. */
static int evict(struct vcpu *v)
{
    struct platform_ctx *c = v->ctx;
    int ret = 0;

    if (!c)
        return 0;
    if (c->fpu == CTX_FPU_OWN) {
        if (!c->xs_pending)
            c->xs_pending = malloc(platform_xstate_size());
        ret = c->xs_pending ? kvm_vcpu_xsave(v, c->xs_pending, platform_xstate_size()) : -ENOMEM;
        if (ret < 0)
            return ret;
        c->fpu = CTX_FPU_PENDING;
    }
    v->ctx = NULL;
    atomic_store(&c->vcpu, NULL);
    return 0;
}

/* One of a thread that is not in guest code, claimed; NULL: there is none. */
static struct vcpu *steal_locked(struct platform *p) REQUIRES(p->lock)
{
    for (unsigned i = 0; i < atomic_load(&p->vcpu_count); i++) {
        struct vcpu *v = p->vcpus[i];

        if (!list_empty(&v->idle_node) || !try_claim(v))
            continue;
        if (!v->landing && evict(v) == 0)
            return v;
        kvm_vcpu_release(v);
    }
    return NULL;
}

/* Somebody has had one for long enough. */
static void ask_one_locked(struct platform *p) REQUIRES(p->lock)
{
    static unsigned next;
    const unsigned i = next++ % atomic_load(&p->vcpu_count);
    struct platform_ctx *c = p->vcpus[i]->ctx;

    /* Who gives one up takes this lock before the thread can end: c lives. */
    if (c)
        kvm_ctx_kick(c);
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A thread in line for a virtual CPU. Lifetime: on its stack. Keys: m platform's lock */
struct waiter {
    struct list node; /* m: platform.waiters, until it has one */
    struct vcpu *v;   /* m: claimed for it */
};

static void take_from_line_locked(struct platform *p, struct waiter *w) REQUIRES(p->lock)
{
    list_del(&w->node);
    atomic_fetch_sub(&p->waiting, 1);
}

/* In the order of those who wait; all others are in guest code, and one at a time gives up its own. */
static struct vcpu *wait_locked(struct platform *p) REQUIRES(p->lock)
{
    struct waiter w = {.v = NULL};

    list_add_tail(&p->waiters, &w.node);
    atomic_fetch_add(&p->waiting, 1);
    while (!w.v) {
        if (cond_wait_until(&p->changed, &p->lock, now_ns() + SLICE_NS) || w.v)
            continue;
        w.v = steal_locked(p);
        if (w.v)
            take_from_line_locked(p, &w);
        else
            ask_one_locked(p);
    }
    return w.v;
}

static int get_locked(struct platform *p, struct vcpu **out) REQUIRES(p->lock)
{
    int ret;

    if (!list_empty(&p->idle)) {
        *out = list_first_entry(&p->idle, struct vcpu, idle_node);
        list_del(&(*out)->idle_node);
        atomic_store(&(*out)->claim, true);
        return 0;
    }
    if (atomic_load(&p->vcpu_count) < p->vcpus_max) {
        ret = create_locked(p, out);
        if (ret == 0 || atomic_load(&p->vcpu_count) == 0)
            return ret;
        log_debug(LOG_PLATFORM, "kvm: no more than %u virtual CPUs: %s",
                  atomic_load(&p->vcpu_count), strerror(-ret));
        p->vcpus_max = atomic_load(&p->vcpu_count);
    }
    *out = steal_locked(p);
    if (!*out)
        *out = wait_locked(p);
    return 0;
}

int kvm_vcpu_claim(struct platform_ctx *c, struct vcpu **out)
{
    struct platform *p = c->platform;
    struct vcpu *v = atomic_load(&c->vcpu);
    int ret;

    if (likely(v && try_claim(v))) {
        if (likely(v->ctx == c)) {
            *out = v;
            return 0;
        }
        kvm_vcpu_release(v);
    }
    mutex_lock(&p->lock);
    /* Who takes it from c has the lock. */
    v = atomic_load(&c->vcpu);
    ret = 0;
    if (v)
        atomic_store(&v->claim, true);
    else
        ret = get_locked(p, &v);
    if (ret == 0 && v->ctx != c) {
        v->ctx = c;
        v->landing = false;
        atomic_store(&c->vcpu, v);
    }
    mutex_unlock(&p->lock);
    *out = v;
    return ret;
}

void kvm_vcpu_release(struct vcpu *v)
{
    atomic_store(&v->claim, false);
}

static void make_idle_locked(struct platform *p, struct vcpu *v) REQUIRES(p->lock)
{
    struct waiter *w;

    if (list_empty(&p->waiters)) {
        list_add(&p->idle, &v->idle_node);
        kvm_vcpu_release(v);
        return;
    }
    w = list_first_entry(&p->waiters, struct waiter, node);
    take_from_line_locked(p, w);
    atomic_store(&v->claim, true);
    w->v = v;
    cond_wake_all(&p->changed);
}

void kvm_vcpu_give_up(struct platform_ctx *c, struct vcpu *v)
{
    struct platform *p = c->platform;

    mutex_lock(&p->lock);
    if (!v->landing && evict(v) == 0)
        make_idle_locked(p, v);
    else
        kvm_vcpu_release(v);
    mutex_unlock(&p->lock);
}

void kvm_vcpu_forget(struct platform_ctx *c)
{
    struct platform *p = c->platform;
    struct vcpu *v;

    mutex_lock(&p->lock);
    v = atomic_load(&c->vcpu);
    if (v) {
        v->ctx = NULL;
        v->landing = false;
        atomic_store(&c->vcpu, NULL);
        make_idle_locked(p, v);
    }
    mutex_unlock(&p->lock);
}

/* --- the world --- */

void kvm_world_stop_locked(struct platform *p)
{
    static const struct timespec pause = {.tv_nsec = 20000};

    atomic_store(&p->stopped, true);
    for (unsigned i = 0; i < atomic_load(&p->vcpu_count); i++) {
        struct platform_ctx *c = p->vcpus[i]->ctx;
        unsigned seq;

        if (!c)
            continue;
        seq = atomic_load(&c->seq);
        if (!(seq & 1))
            continue;
        kvm_ctx_kick(c);
        while (atomic_load(&c->seq) == seq)
            (void)nanosleep(&pause, NULL);
    }
}

void kvm_world_resume_locked(struct platform *p)
{
    atomic_store(&p->stopped, false);
    cond_wake_all(&p->changed);
}
