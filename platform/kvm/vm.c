/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start, stop and probe of the kvm back end, and its table of operations.
 *
 * A machine belongs to the process that made it, and the sentry cannot open /dev/kvm: the device comes
 * from who launches the sentry, the machine is the sentry's own.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/host/file.h"
#include "platform/host/kvm.h"
#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "platform/kvm/kvm_internal.h"
#include "platform/stub/probe.h"
#include "platform/stub/process.h"
#include "platform/stub/space.h"

enum {
    CPUID_ENTRIES = 256,
    CPUID_FEATURES = 1,
    CPUID_STRUCTURED = 7,
    CPUID_XSTATE = 0xd,
    FEATURE_VMX = 1 << 5,      /* leaf 1, ecx */
    FEATURE_OSXSAVE = 1 << 27, /* leaf 1, ecx */
    FEATURE_SVM = 1 << 2,      /* leaf 0x80000001, ecx */
    FEATURE_FSGSBASE = 1 << 0, /* leaf 7, ebx */
    XCR0_DEFAULT = 3,          /* x87, SSE */
    TABLE_LIMIT_IDT = VECTOR_COUNT * 16 - 1,
    TABLE_LIMIT_GDT = GDT_ENTRIES * 8 - 1,
    SEG_TSS_BUSY = 11,
    LEARN_ADDR = 0x400000,
    LEARN_CALLS = 8,
    AUTO_NS_MAX = 10000, /* a call that costs more is not worth it: nested, or software */
    /* Where KVM keeps pages of its own on hosts that need some: below 4 GiB, see memory.c. */
    KVM_OWN_IDENTITY = (int)0xfffbc000,
    KVM_OWN_TSS = (int)0xfffbd000,
};
#define CPUID_EXTENDED_FEATURES 0x80000001u
#define CR0_LONG                                                                                   \
    (0x80000000u | 0x40000u | 0x10000u | 0x20u | 0x10u | 0x2u | 0x1u) /* PG AM WP NE ET MP PE */
#define CR4_PAE        0x20u
#define CR4_OSFXSR     0x200u
#define CR4_OSXMMEXCPT 0x400u
#define CR4_FSGSBASE   0x10000u
#define CR4_OSXSAVE    0x40000u
#define EFER_BITS      0xd01u /* SCE LME LMA NXE */

#define FORBIDDEN " (/dev/kvm must be there, and open to this user)"

static int kvm_device(void)
{
    const int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* Without it KVM is software, and a call dearer than with any other back end. */
static bool kvm_preferred(void)
{
    unsigned a, b, c, d;

    if (__get_cpuid(CPUID_FEATURES, &a, &b, &c, &d) && (c & FEATURE_VMX))
        return true;
    return __get_cpuid(CPUID_EXTENDED_FEATURES, &a, &b, &c, &d) && (c & FEATURE_SVM);
}

int kvm_slot_set(struct platform *p, unsigned slot, bool present)
{
    struct kvm_userspace_memory_region r = {.slot = slot,
                                            .guest_phys_addr = slot * SLOT_SIZE,
                                            .memory_size = present ? SLOT_SIZE : 0,
                                            .userspace_addr =
                                                (uint64_t)(p->base + slot * SLOT_SIZE)};

    return host_kvm(p->vm, KVM_SET_USER_MEMORY_REGION, &r);
}

/* --- what the host offers --- */

static int check_host(int device)
{
    static const int wanted[] = {KVM_CAP_USER_MEMORY, KVM_CAP_SYNC_MMU,  KVM_CAP_XCRS,
                                 KVM_CAP_XSAVE2,      KVM_CAP_EXT_CPUID, KVM_CAP_IMMEDIATE_EXIT};
    const int sync = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;

    if (host_kvm_number(device, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return -EOPNOTSUPP;
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++) {
        if (host_kvm_number(device, KVM_CHECK_EXTENSION, (unsigned long)wanted[i]) <= 0)
            return -EOPNOTSUPP;
    }
    if ((host_kvm_number(device, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) & sync) != sync)
        return -EOPNOTSUPP;
    return 0;
}

static const struct kvm_cpuid_entry2 *cpuid_leaf(const struct platform *p, uint32_t leaf)
{
    for (uint32_t i = 0; i < p->cpuid->nent; i++) {
        if (p->cpuid->entries[i].function == leaf && p->cpuid->entries[i].index == 0)
            return &p->cpuid->entries[i];
    }
    return NULL;
}

static uint64_t host_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int learn_cpu(struct platform *p, int device)
{
    const struct kvm_cpuid_entry2 *xstate;
    unsigned a, b, c, d;
    int ret;

    p->cpuid = calloc(1, sizeof(*p->cpuid) + CPUID_ENTRIES * sizeof(p->cpuid->entries[0]));
    if (!p->cpuid)
        return -ENOMEM;
    p->cpuid->nent = CPUID_ENTRIES;
    ret = host_kvm(device, KVM_GET_SUPPORTED_CPUID, p->cpuid);
    if (ret < 0)
        return ret;
    xstate = cpuid_leaf(p, CPUID_XSTATE);
    if (!__get_cpuid(CPUID_FEATURES, &a, &b, &c, &d) || !(c & FEATURE_OSXSAVE) || !xstate)
        return -EOPNOTSUPP;
    p->xcr0 = host_xcr0();
    p->xcr0_sure = (p->xcr0 & ((uint64_t)xstate->edx << 32 | xstate->eax)) | XCR0_DEFAULT;
    p->sregs.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    if (__get_cpuid_count(CPUID_STRUCTURED, 0, &a, &b, &c, &d) && (b & FEATURE_FSGSBASE))
        p->sregs.cr4 |= CR4_FSGSBASE;
    return 0;
}

/* --- the machine --- */

static int make_machine(struct platform *p, int device)
{
    uint64_t identity = (uint32_t)KVM_OWN_IDENTITY;
    void *base;
    int ret;

    do
        p->vm = host_kvm_number(device, KVM_CREATE_VM, 0);
    while (p->vm == -EINTR);
    if (p->vm < 0)
        return p->vm;
    /* Hosts that need neither may say so. */
    IGNORE_RESULT(host_kvm(p->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity));
    IGNORE_RESULT(host_kvm_number(p->vm, KVM_SET_TSS_ADDR, (uint32_t)KVM_OWN_TSS));
    ret = host_mmap(NULL, MEMORY_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                    0, &base);
    if (ret < 0)
        return ret;
    p->base = base;
    IGNORE_RESULT(host_madvise(base, MEMORY_SIZE, MADV_DONTDUMP)); /* a nicety */
    ret = host_mmap(base, TABLES_SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0, &base);
    if (ret == 0)
        ret = kvm_slot_set(p, SLOT_TABLES, /*present=*/true);
    return ret;
}

static int make_lists(struct platform *p)
{
    /* Large, and mostly never touched. */
    p->units = calloc(UNIT_COUNT, sizeof(*p->units));
    p->table_next = calloc(TABLES_PAGES, sizeof(*p->table_next));
    p->unit_end = UNIT_FIRST;
    return p->units && p->table_next ? kvm_tables_init(p) : -ENOMEM;
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The rest of a virtual CPU's special registers is as the host makes them. */
static int learn_sregs(struct platform *p)
{
    const struct platform_ctx ctx = {.platform = p, .fpu = CTX_FPU_RESET};
    struct platform_ctx *c = malloc(sizeof(*c));
    const uint64_t cr4 = p->sregs.cr4;
    struct vcpu *v;
    int ret;

    if (!c)
        return -ENOMEM;
    memcpy(c, &ctx, sizeof(*c));
    ret = kvm_vcpu_claim(c, &v);
    if (ret == 0) {
        p->sregs = v->run->s.regs.sregs;
        p->sregs.cr0 = CR0_LONG;
        p->sregs.cr4 = cr4;
        p->sregs.efer = EFER_BITS;
        p->sregs.idt = (struct kvm_dtable){.base = KERNEL_IDT, .limit = TABLE_LIMIT_IDT};
        p->sregs.gdt.limit = TABLE_LIMIT_GDT;
        p->sregs.tr = (struct kvm_segment){
            .limit = 0x67, .selector = TSS_SELECTOR, .type = SEG_TSS_BUSY, .present = 1};
        p->sregs.ldt = (struct kvm_segment){.unusable = 1};
        kvm_vcpu_forget(c);
    }
    free(c);
    return ret;
}

/* Runs `mov $39, %eax; syscall; jmp`: does guest code run at all, how does its call arrive, and what does
 * it cost? */
static int try_call(struct platform *p, uint64_t *out_ns)
{
    static const uint8_t code[] = {0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7};
    enum { BEHIND_CALL = 7 };
    struct lx_regs regs = {
        .rip = LEARN_ADDR, .rsp = LEARN_ADDR, .cs = USER64_CS, .ss = USER_SS, .eflags = 0x202};
    struct platform_event ev = {.kind = PLATFORM_DEAD};
    struct platform_space *s = NULL;
    struct platform_ctx *c = NULL;
    int fd = host_memfd_create("kvm-start", MFD_CLOEXEC), ret;

    if (fd < 0)
        return fd;
    ret = host_ftruncate(fd, LX_PAGE_SIZE);
    if (ret == 0)
        ret = (int)MIN(host_pwrite(fd, code, sizeof(code), 0), 0);
    if (ret == 0)
        ret = kvm_space_new(p, &s);
    if (ret == 0)
        ret = kvm_space_map(s, LEARN_ADDR, LX_PAGE_SIZE, PROT_READ | PROT_EXEC, fd, 0, 0);
    if (ret == 0)
        ret = kvm_ctx_new(s, NULL, &c);
    p->call_faults = true;
    *out_ns = UINT64_MAX;
    for (int i = 0; ret == 0 && i < LEARN_CALLS; i++) {
        const uint64_t start = now_ns();

        ret = kvm_ctx_run(c, &regs, &ev);
        *out_ns = MIN(*out_ns, now_ns() - start);
        kvm_ctx_regs_pull(c, &regs);
        if (ret == 0 && (ev.kind != PLATFORM_SYSCALL || regs.rip != LEARN_ADDR + BEHIND_CALL))
            ret = -EIO;
    }
    if (ret == 0)
        p->call_faults =
            atomic_load(&c->vcpu)->run->s.regs.regs.rip != KERNEL_CODE + ENTRY_SYSCALL + 1;
    if (c)
        kvm_ctx_free(c);
    placement_unpin_self();
    if (s)
        kvm_space_free(s);
    (void)host_close(fd);
    return ret;
}

static void kick_arrived(int signo)
{
    (void)signo; /* blocked whenever code of ours runs */
}

static void kvm_stop(struct platform *p)
{
    kvm_vcpus_free(p);
    if (p->vm >= 0)
        (void)host_close(p->vm);
    if (p->base)
        (void)host_munmap(p->base, MEMORY_SIZE);
    free(p->units);
    free(p->table_next);
    free(p->cpuid);
    free(p);
}

static int start_on(struct platform *p, const struct platform_config *config, int device,
                    const char **out_why)
{
    const struct sigaction act = {.sa_handler = kick_arrived, .sa_flags = SA_RESTART};
    uint64_t call_ns;
    int ret, size, vcpus;

    p->vm = -1;
    p->pid = getpid();
    p->low = stub_guest_low();
    p->high = LX_TASK_SIZE;
    mutex_init(&p->lock, RANK_KVM);
    cond_init(&p->changed);
    list_init(&p->idle);
    list_init(&p->waiters);
    *out_why = "use what this KVM offers";
    ret = check_host(device);
    if (ret == 0)
        ret = learn_cpu(p, device);
    if (ret < 0)
        return ret;
    size = host_kvm_number(device, KVM_GET_VCPU_MMAP_SIZE, 0);
    vcpus = host_kvm_number(device, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    p->run_size = size > 0 ? (size_t)size : LX_PAGE_SIZE;
    p->vcpus_max = (unsigned)MIN(MAX(vcpus, 1), VCPUS_MAX);
    *out_why = "make a virtual machine";
    ret = make_machine(p, device);
    if (ret < 0)
        return ret;
    size = host_kvm_number(p->vm, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
    p->xsave_size = MAX((size_t)MAX(size, 0), sizeof(struct kvm_xsave));
    *out_why = "fill its memory";
    ret = make_lists(p);
    if (ret < 0)
        return ret;
    /* Not ignored, or the host would not send it. */
    ret = host_sigaction(KICK_SIGNAL, &act, NULL);
    *out_why = "make a virtual CPU";
    if (ret == 0)
        ret = learn_sregs(p);
    *out_why = "run a system call in it";
    if (ret == 0)
        ret = try_call(p, &call_ns);
    if (ret == 0 && config->fallback && call_ns > AUTO_NS_MAX) {
        *out_why = "run calls quickly";
        ret = -EOPNOTSUPP;
    }
    return ret;
}

static int start(const struct platform_config *config, struct platform **out, const char **out_why)
{
    struct platform *p = calloc(1, sizeof(*p));
    const int device = config->device >= 0 ? config->device : kvm_device();
    int ret;

    *out_why = "open /dev/kvm";
    ret = device < 0 ? device : p ? start_on(p, config, device, out_why) : -ENOMEM;
    if (device >= 0)
        (void)host_close(device);
    if (ret < 0 && p && p->run_size)
        kvm_stop(p);
    else if (ret < 0)
        free(p);
    else
        *out = p;
    return ret;
}

static int kvm_start(const struct platform_config *config, struct platform **out)
{
    return stub_platform_start(config, out, "kvm", start, FORBIDDEN);
}

static int kvm_probe(struct platform_probe *out)
{
    int ret = stub_probe(&g_platform_kvm_ops, start, FORBIDDEN, out);

    out->reports_access = true;
    out->for_auto = out->usable && kvm_preferred() && out->switch_ns <= AUTO_NS_MAX;
    return ret;
}

static void kvm_range(struct platform *p, uaddr_t *out_low, uaddr_t *out_high)
{
    *out_low = p->low;
    *out_high = p->high;
}

static int kvm_space_clone(struct platform_space *from, struct platform_ctx *caller,
                           struct platform_space **out)
{
    (void)from;
    (void)caller;
    (void)out;
    return -EOPNOTSUPP; /* to fill tables costs what it would to copy them */
}

const struct platform_ops g_platform_kvm_ops = {
    .name = "kvm",
    .device = kvm_device,
    .preferred = kvm_preferred,
    .probe = kvm_probe,
    .start = kvm_start,
    .stop = kvm_stop,
    .range = kvm_range,
    .space_new = kvm_space_new,
    .space_clone = kvm_space_clone,
    .space_free = kvm_space_free,
    .space_map = kvm_space_map,
    .space_unmap = kvm_space_unmap,
    .space_protect = kvm_space_protect,
    .space_clear = kvm_space_clear,
    .space_barrier = kvm_space_barrier,
    .ctx_new = kvm_ctx_new,
    .ctx_free = kvm_ctx_free,
    .ctx_switch_space = kvm_ctx_switch_space,
    .ctx_run = kvm_ctx_run,
    .ctx_regs_pull = kvm_ctx_regs_pull,
    .ctx_interrupt = kvm_ctx_interrupt,
    .ctx_set_cpus = kvm_ctx_set_cpus,
    .ctx_xstate_get = kvm_ctx_xstate_get,
    .ctx_xstate_set = kvm_ctx_xstate_set,
    .ctx_xstate_copy = kvm_ctx_xstate_copy,
};
