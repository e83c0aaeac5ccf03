/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the kvm back end; see platform/README.md, "kvm".
 *
 * Locks: a space's lock covers its page tables and its list of changed frames; the machine's lock
 * (rank KVM) covers units, free tables and the list of virtual CPUs. Who uses a virtual CPU has its claim.
 */
#pragma once

#include <linux/kvm.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "platform/base/placement.h"
#include "platform/kvm/layout.h"
#include "platform/partial.h"
#include "platform/platform.h"

#define KICK_SIGNAL SIGURG

/* A virtual CPU. Lifetime: as the platform. Keys: I immutable, c held by who has the claim, a atomic */
struct vcpu {
    int fd;                   /* I */
    unsigned index;           /* I */
    struct kvm_run *run;      /* I: shared with the host kernel */
    uint8_t *page;            /* I: its CPU page */
    atomic_bool claim;        /* a */
    struct platform_ctx *ctx; /* c: whose state it holds; NULL: nobody's */
    bool landing; /* c: on its way from ring 3 to a hlt: it must go on before anything else */
    int cpu;      /* c: which CPU it says it is; -1: not yet said */
    struct list idle_node; /* platform.idle while it is nobody's and not claimed */
};

/* A run of frames that guest mappings were taken from. */
struct stale {
    uint64_t start, end; /* guest physical */
    uint32_t refs;       /* what is given back with it */
};

enum {
    STALE_MAX = 64,
    /* Tables of a space beyond which it is emptied, if they are many for what it maps. */
    TABLES_LOOSE_MAX = 2048,
};

/* Lifetime: unique (space_new .. space_free). Keys: I immutable, s ->lock, a atomic */
struct platform_space {
    struct platform *platform;     /* I */
    struct mutex lock;             /* rank SPACE */
    _Atomic uint64_t root;         /* a, written under s: guest physical address of the top table */
    uint32_t tables;               /* s: list of its tables, the top one included */
    uint32_t table_count;          /* s */
    uint64_t entries;              /* s: present ones of the last level */
    struct list ctxs;              /* s */
    struct stale stale[STALE_MAX]; /* s: the host may still show them to guest code */
    atomic_uint stale_count;       /* a, written under s */
    uaddr_t bad_start, bad_end;    /* s: the host refused to map this: guest gets SIGBUS */
};

enum ctx_fpu {
    CTX_FPU_OWN,     /* what the virtual CPU holds is right */
    CTX_FPU_RESET,   /* as at exec */
    CTX_FPU_PENDING, /* xs_pending holds the state to load */
};

/* Lifetime: unique. The owner's but for a atomic, s space's lock, c who has vcpu's claim. */
struct platform_ctx {
    struct platform *platform;
    struct platform_space *space;
    struct list node;          /* s */
    struct vcpu *_Atomic vcpu; /* a, written with its claim */
    enum ctx_fpu fpu;          /* c while there is a vcpu */
    void *xs_pending;          /* c */
    atomic_uint seq;           /* a: odd while guest code may run */
    atomic_uint interrupt;     /* a */
    atomic_int tid;            /* a: the thread that runs it; 0: never ran */
    bool attached;
    struct placement place;
    struct partial_regs partial;
};

/* What part of a file a unit shows. Under platform.lock. */
struct unit {
    uint64_t offset;
    uint64_t refs; /* mapped pages; 0: free */
    int fd;
    uint32_t next; /* in its hash bucket, or of the free ones; 0: none */
    bool writable;
};

enum { UNIT_BUCKETS = 4096 };

/* Lists of tables are numbers of their pages, linked through table_next; 0 ends them. */
struct table_list {
    uint32_t first, count;
};

/* Keys: I immutable, m ->lock, a atomic */
struct platform {
    uaddr_t low, high;             /* I */
    int vm;                        /* I */
    pid_t pid;                     /* I: the process */
    size_t run_size;               /* I */
    size_t xsave_size;             /* I: of KVM_GET_XSAVE2 */
    struct kvm_cpuid2 *cpuid;      /* I */
    struct kvm_sregs sregs;        /* I: of a virtual CPU in ring 3, but for what a thread brings */
    uint64_t xcr0, xcr0_sure;      /* I: what virtual CPUs get, at first; what KVM says it can */
    bool call_faults;              /* I: a system call arrives as a fault at its entry */
    unsigned vcpus_max;            /* I */
    uint8_t *base;                 /* I: sentry address of guest physical 0 */
    uint32_t kernel_table;         /* I: the table of the upper half, below each top table */
    uint32_t cpu_pages[VCPUS_MAX]; /* I: pages of the slot of tables */

    struct mutex lock;              /* rank KVM */
    struct unit *units;             /* m */
    uint32_t buckets[UNIT_BUCKETS]; /* m */
    uint32_t unit_free, unit_end;   /* m: list of those that were used; the rest begins here */
    bool slot_used[MEMORY_SIZE / SLOT_SIZE]; /* m */
    uint32_t *table_next;                    /* m */
    struct table_list free, retired;         /* m */
    uint32_t table_end;                      /* m: pages from here on were never used */
    struct vcpu *vcpus[VCPUS_MAX];           /* m */
    atomic_uint vcpu_count;                  /* a, written under m */
    struct list idle;                        /* m: vcpus */
    struct list waiters;                     /* m: threads in line for a vcpu */
    atomic_uint waiting;                     /* a, written under m: how many */
    struct cond changed;                     /* m: somebody in line has one, stopped ended */
    atomic_bool stopped;                     /* a, written under m: nobody enters guest code */
};

/* vm.c */
extern const struct platform_ops g_platform_kvm_ops;
int MUST_CHECK kvm_slot_set(struct platform *p, unsigned slot, bool present);
static inline void *kvm_ptr(const struct platform *p, uint64_t gpa)
{
    return p->base + gpa;
}

/* --- memory.c: files in guest physical memory --------------------------------------------------- */

/* Guest physical address of offset of fd, for *pages pages or as many as are in one piece (then *pages
 * says so); they are the caller's until kvm_frames_put. -ENOMEM: no room; others: the host does not
 * map it, -EACCES not for writing. Takes the machine's lock. */
int MUST_CHECK kvm_frames_get(struct platform *p, int fd, uint64_t offset, bool write,
                              uint32_t *pages, uint64_t *out_gpa);
/* count pages in the unit of gpa. */
void kvm_frames_put(struct platform *p, uint64_t gpa, uint32_t count);
bool kvm_frame_writable(struct platform *p, uint64_t gpa);

/* --- tables.c: page tables ---------------------------------------------------------------------- */

int MUST_CHECK kvm_tables_init(struct platform *p);
/* A top table that has the upper half only. */
int MUST_CHECK kvm_tables_new(struct platform_space *s) REQUIRES(s->lock);
/* The same instead of what s has; what that mapped is given back after all threads have left it. -ENOMEM:
 * nothing changed. */
int MUST_CHECK kvm_tables_replace(struct platform_space *s) REQUIRES(s->lock);
/* Gives all of a space's tables, and what they map, back. It has no threads. */
void kvm_tables_end(struct platform_space *s);
/* The entry of addr; NULL: no table has one, or none could be had for it. */
uint64_t *kvm_table_entry(struct platform_space *s, uaddr_t addr, bool make) REQUIRES(s->lock);
/* Calls fn for each entry in [start, end) that is not 0; fn may change it. */
void kvm_table_walk(struct platform_space *s, uaddr_t start, uaddr_t end,
                    void (*fn)(void *arg, uaddr_t addr, uint64_t *entry), void *arg)
    REQUIRES(s->lock);
/* A zeroed page in the tables' slot, of no list. 0: none left. Caller holds p->lock. */
uint32_t kvm_page_alloc_locked(struct platform *p) REQUIRES(p->lock);

/* --- space.c ------------------------------------------------------------------------------------ */

int kvm_space_new(struct platform *p, struct platform_space **out);
void kvm_space_free(struct platform_space *s);
int kvm_space_map(struct platform_space *s, uaddr_t addr, size_t size, int prot, int fd,
                  uint64_t offset, uint32_t flags);
int kvm_space_unmap(struct platform_space *s, uaddr_t addr, size_t size);
int kvm_space_protect(struct platform_space *s, uaddr_t addr, size_t size, int prot);
int kvm_space_clear(struct platform_space *s);
void kvm_space_barrier(struct platform_space *s);
/* Returns when no thread of s is in guest code that it had entered before the call. */
void kvm_space_bring_out(struct platform_space *s) REQUIRES(s->lock);
/* Takes changed frames from guest code, if there are any. */
void kvm_space_flush(struct platform_space *s);
/* Did the host refuse to map addr, or have no page there? */
bool kvm_space_bad(struct platform_space *s, uaddr_t addr);
/* The host had no page for one that guest code wanted, and does not say for which: takes all such pages out
 * of the tables, so that guest code faults there and kvm_space_bad is true, once. False: there is none. */
bool kvm_space_find_bad(struct platform_space *s);

/* --- vcpu.c ------------------------------------------------------------------------------------- */

/* A virtual CPU with c's state, claimed; with interrupt pending it may take until others gave theirs
 * up. -ENOMEM and what the host says. */
int MUST_CHECK kvm_vcpu_claim(struct platform_ctx *c, struct vcpu **out);
void kvm_vcpu_release(struct vcpu *v);
/* Guest code learns that it runs on cpu. */
void kvm_vcpu_show_cpu(struct vcpu *v, int cpu);
/* Somebody waits for one: c's may serve another thread. */
void kvm_vcpu_give_up(struct platform_ctx *c, struct vcpu *v);
/* c's state is no longer needed. */
void kvm_vcpu_forget(struct platform_ctx *c);
void kvm_vcpus_free(struct platform *p);
/* Is there a thread in guest code that must leave it first? Brings all out, keeps all out until resume. */
void kvm_world_stop_locked(struct platform *p) REQUIRES(p->lock);
void kvm_world_resume_locked(struct platform *p) REQUIRES(p->lock);
/* The state of an idle virtual CPU, KVM_GET_XSAVE's. c has the claim of v. */
int MUST_CHECK kvm_vcpu_xsave(struct vcpu *v, void *buf, size_t size);
int MUST_CHECK kvm_vcpu_xload(struct platform_ctx *c, struct vcpu *v);

/* --- ctx.c -------------------------------------------------------------------------------------- */

int kvm_ctx_new(struct platform_space *s, struct platform_ctx *creator, struct platform_ctx **out);
void kvm_ctx_free(struct platform_ctx *c);
int kvm_ctx_switch_space(struct platform_ctx *c, struct platform_space *s);
int kvm_ctx_run(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *out);
void kvm_ctx_regs_pull(struct platform_ctx *c, struct lx_regs *regs);
void kvm_ctx_interrupt(struct platform_ctx *c);
void kvm_ctx_set_cpus(struct platform_ctx *c, const cpu_set_t *cpus);
int kvm_ctx_xstate_get(struct platform_ctx *c, void *buf, size_t size);
int kvm_ctx_xstate_set(struct platform_ctx *c, const void *buf, size_t size);
int kvm_ctx_xstate_copy(struct platform_ctx *dst, struct platform_ctx *src);
/* Brings c out of guest code, if it is there. Any thread; c must live. */
void kvm_ctx_kick(struct platform_ctx *c);

/* --- events.c: why ring 3 ended ----------------------------------------------------------------- */

static inline bool kvm_canonical(uint64_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}
/* To the virtual CPU's registers, and back. */
void kvm_regs_load(const struct platform *p, struct vcpu *v, const struct lx_regs *regs,
                   uint64_t root);
void kvm_regs_store(const struct vcpu *v, struct lx_regs *regs);
/* After a hlt. 1: *ev and *regs are the event. 0: nothing, run on. -EIO: no state that guest code can
 * bring about. */
int kvm_event_halt(struct platform_ctx *c, struct vcpu *v, struct lx_regs *regs,
                   struct platform_event *ev);
