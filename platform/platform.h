/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform contract: what the sentry sees of a back end. A platform knows registers, address
 * spaces and events; it knows no task, file, signal policy or Linux rule. Nothing above platform/
 * may ask which back end runs.
 *
 * Objects
 *   platform  one per sandbox.
 *   space     one guest address space: a cache of mappings that mm can drop and rebuild at any time.
 *   ctx       one guest thread; used by exactly one sentry thread at a time (its owner), except
 *             ctx_interrupt.
 *
 * Deferred mappings. space_map/unmap/protect append to the space's queue of pending changes and may
 * return before the host has them. Every ctx_run of that space applies the queue before guest code
 * runs, so the caller's own thread always sees them. Other threads of the space that run guest code
 * at that moment may use an old mapping until space_barrier() returns: call it before memory that
 * was unmapped or write-protected is reused, or before its contents must be stable. Additions need
 * no barrier: a thread that misses one faults and the sentry resolves it again.
 *
 * Registers. After FAULT, EXCEPTION and INTERRUPTED all of *regs is what the guest has. After
 * SYSCALL only what the call shows is: rax, orig_rax, rip, rdi, rsi, rdx, r10, r8, r9, rcx (= rip),
 * cs and ss; fetching the others can cost more than the call. Then
 *  - ctx_regs_pull fills in the others, and keeps those that the event delivered as they are in
 *    *regs. It also opens all of them for changes.
 *  - Without it the next ctx_run takes rax from *regs and nothing else. With it, after any other
 *    event, on the first run and after ctx_switch_space it takes all of *regs.
 *
 * Call sites (optional: NULL where a back end has no use for it). Where guest code often makes calls
 * from one place, a back end may show another version of that page, in which the instruction before
 * the system call leads to code of its own; what it does there is a call like any other, and the page
 * in mm stays what it is. The version is part of the cache that a space is: any space_map,
 * space_unmap or space_protect for writing takes it away. It needs room in the guest's address
 * space near the site, which mm keeps free.
 */
#pragma once

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct platform;
struct platform_space;
struct platform_ctx;

enum platform_event_kind {
    PLATFORM_SYSCALL,   /* orig_rax: number; rax: -ENOSYS; rip: after the instruction; see above */
    PLATFORM_FAULT,     /* memory access that the space did not allow: fault_* fields */
    PLATFORM_EXCEPTION, /* any other trap: signo, code, addr as Linux would report them */
    PLATFORM_INTERRUPTED, /* ctx_interrupt was called */
    PLATFORM_DEAD,        /* the guest thread's host side is gone (killed from outside) */
};

enum platform_access {
    PLATFORM_ACCESS_READ = 1,
    PLATFORM_ACCESS_WRITE = 2,
    PLATFORM_ACCESS_EXEC = 4,
};

struct platform_event {
    enum platform_event_kind kind;
    bool hot_site; /* SYSCALL: space_site for this call would pay; see "Call sites" */
    /* What CPU clocks count though nobody worked: how long the owner looked for this event instead of
     * sleeping, and the guest thread for the result of the call before. In cycles of the CPU's counter. */
    uint64_t owner_looked, guest_looked;
    /* FAULT */
    uaddr_t fault_addr;
    uint32_t fault_access; /* PLATFORM_ACCESS_* bits; 0: the platform cannot tell (ptrace) */
    bool fault_bus;        /* the host's backing object had no such page (SIGBUS) */
    /* FAULT: code is SEGV_MAPERR (nothing is mapped there) or SEGV_ACCERR where known, else 0. */
    /* EXCEPTION: SIGTRAP, SIGILL, SIGFPE, SIGSEGV (#GP, not an address: addr 0, SI_KERNEL), ... */
    int signo;
    int code;
    uaddr_t addr;
};

/* A call site, offered to space_site. */
struct platform_site {
    uaddr_t page;         /* where the byte before the system call instruction is */
    const uint8_t *bytes; /* LX_PAGE_SIZE: what guest code sees there; nobody can write to it */
    uaddr_t ip;           /* regs->rip of the call */
    uint32_t nr;          /* and its number */
};
/* Bytes of room, page aligned, within 2 GiB of a site. */
#define PLATFORM_ROOM_SIZE 0x2000u

/* What a call without arguments returns to one thread, until told otherwise. */
struct platform_answer {
    uint32_t nr;
    uint32_t value;
};

/* Private futexes are counted by the low bits of their addresses ("space_waiters"). */
#define PLATFORM_WAIT_CLASSES 64u
static inline unsigned platform_wait_class(uaddr_t addr)
{
    return (unsigned)(addr >> 6) % PLATFORM_WAIT_CLASSES;
}

#define PLATFORM_MAP_POPULATE 1u /* the pages will be touched soon: fill host page tables */

struct platform_probe {
    bool usable;
    char reason[160];    /* one line: why not, or what it costs */
    uint64_t switch_ns;  /* measured cost of one null call, 0 when unusable */
    bool reports_access; /* fault_access is filled in */
    bool for_auto; /* auto would take it: usable, and not known to be dearer than those behind it */
};

/* How a back end may make calls cheaper than by its plain way ("Call sites"). */
enum platform_lanes {
    PLATFORM_LANES_AUTO,  /* where it pays */
    PLATFORM_LANES_OFF,   /* never */
    PLATFORM_LANES_EAGER, /* wherever it can, whether it pays or not: for tests */
};

struct platform_config {
    enum platform_lanes lanes;
    bool rseq;  /* ctx_rseq may be used; stubs may make the host's call */
    int device; /* platform_device's, taken over; negative: start opens it itself, if it can */
    bool
        fallback; /* auto: another back end is tried if this one does not start, which is no error */
};

struct platform_ops {
    const char *name;
    /* Opens what start needs and cannot open itself where the sentry starts it, in an empty root and
     * without privileges. A descriptor or -errno. NULL: nothing is needed. */
    int (*device)(void);
    /* Should auto try it? Asked without starting anything. NULL: yes. */
    bool (*preferred)(void);
    /* Can this host run it? May fork and take milliseconds. Called before the sentry is jailed. */
    int (*probe)(struct platform_probe *out);
    /* Starts the back end, far enough to know that it can run guest code. Called once,
     * single-threaded, before the sentry installs its filter. Logs what failed. */
    int (*start)(const struct platform_config *config, struct platform **out);
    /* Kills every stub; all ctx and spaces must be freed already or are abandoned. */
    void (*stop)(struct platform *p);
    /* Lowest and highest+1 guest address that mm may use; the stub lives outside. */
    void (*range)(struct platform *p, uaddr_t *out_low, uaddr_t *out_high);

    /* An empty address space. -ENOMEM, -EAGAIN (host process limit). May block. */
    int (*space_new)(struct platform *p, struct platform_space **out);
    /* fork: a space with the same mappings as caller's space, made in one host operation where the
     * back end can. Call with caller = the calling thread's own ctx. The pages' protections are
     * copied as they are (write-protect private pages first). -EOPNOTSUPP: start from space_new. */
    int (*space_clone)(struct platform_space *from, struct platform_ctx *caller,
                       struct platform_space **out);
    /* All ctxs of the space must be freed. */
    void (*space_free)(struct platform_space *s);
    /* Maps fd [offset, offset+size) MAP_SHARED at addr, replacing what was there. prot: host
     * PROT_*. All page aligned. The fd must stay open until the mapping was replaced and
     * space_barrier ran. -ENOMEM. */
    int (*space_map)(struct platform_space *s, uaddr_t addr, size_t size, int prot, int fd,
                     uint64_t offset, uint32_t flags);
    int (*space_unmap)(struct platform_space *s, uaddr_t addr, size_t size);
    /* Changes protection where mapped; holes inside the range are skipped. */
    int (*space_protect)(struct platform_space *s, uaddr_t addr, size_t size, int prot);
    /* Drops every mapping (exec, exit) in as few host calls as possible. */
    int (*space_clear)(struct platform_space *s);
    /* Returns when no thread of s can use a mapping that was changed before the call. Cheap when no
     * other thread of s is in guest code. May block for as long as an interrupt takes to land. */
    void (*space_barrier)(struct platform_space *s);

    /* A guest thread in space s. creator: the calling thread's own ctx if it has one in the same
     * space (clone), else NULL. Registers come with the first run. The new ctx may be handed to
     * another sentry thread, which becomes its owner with its first call on it. -EAGAIN, -ENOMEM.
     */
    int (*ctx_new)(struct platform_space *s, struct platform_ctx *creator,
                   struct platform_ctx **out);
    /* Owner only (or anybody when it never ran). When the last ctx leaves a space, by ctx_free or
     * ctx_switch_space, the back end may drop the space's mappings (they come back by faults). */
    void (*ctx_free)(struct platform_ctx *c);
    /* exec: moves the ctx to another space; FP state is reset. Owner only. */
    int (*ctx_switch_space)(struct platform_ctx *c, struct platform_space *s);
    /* Runs guest code with *regs until an event; *regs holds the state at the event. Pending
     * changes of the space are applied first. Owner only; holds no lock. Returns 0, or -errno when
     * the host failed (treat as DEAD). */
    int (*ctx_run)(struct platform_ctx *c, struct lx_regs *regs, struct platform_event *out);
    /* See "Registers". Owner only; idempotent; does nothing after other events. When the guest
     * thread is gone the missing registers are 0 and the next ctx_run returns DEAD. */
    void (*ctx_regs_pull)(struct platform_ctx *c, struct lx_regs *regs);
    /* From any thread, any time: the current ctx_run, or else the next one, returns INTERRUPTED
     * soon. Never lost, idempotent until delivered. May hold locks up to TASK. */
    void (*ctx_interrupt)(struct platform_ctx *c);

    /* Restartable sequences: from the next run on the host's rseq(2) of whatever runs guest code
     * for c has the 32 bytes at offset of fd, aligned to 32, as its area, with signature sig; so
     * cpu_id is kept there, and critical sections abort. fd < 0: no more. What the guest has mapped
     * does not matter. The page of an earlier call, of ctx_free or ctx_switch_space (which end it)
     * counts as unmapped: see "Deferred mappings". Guest code that is brought out for an event may
     * have left its section without an abort: the caller moves rip then. Owner only, outside
     * ctx_run. -EOPNOTSUPP: the host has none, or the
     * configuration; -ENOMEM, -EAGAIN: all is as before. */
    int (*ctx_rseq)(struct platform_ctx *c, int fd, uint64_t offset, uint32_t sig);

    /* Where guest code of c may run from its next run on; empty intersections with what the host
     * allows are ignored. From any thread that knows c to live; may hold locks up to TASK. NULL:
     * the back end runs guest code where the host puts it. */
    void (*ctx_set_cpus)(struct platform_ctx *c, const cpu_set_t *cpus);

    /* See "Call sites". The caller makes sure that the page is what it says until this returns. 0:
     * done, or done before. -ENOSPC: give it room first. Others: leave it. Never blocks for long. */
    int (*space_site)(struct platform_space *s, const struct platform_site *site);
    /* -EEXIST: it has this one. */
    int (*space_room)(struct platform_space *s, uaddr_t addr);
    /* Takes all versions back, and makes none in this space any more. */
    void (*space_sites_off)(struct platform_space *s);
    /* The guest thread may know these without asking. count 0 takes all back: any thread, as
     * ctx_interrupt; else owner only, and gone with ctx_switch_space. */
    void (*ctx_answers)(struct platform_ctx *c, const struct platform_answer *answers,
                        unsigned count);
    /* PLATFORM_WAIT_CLASSES counters of threads that wait for private futexes of the space, which the
     * caller keeps: one more before a waiter reads its word, one less when it waits no longer. Guest
     * threads that have answers see them, and take FUTEX_WAKE for done where nobody waits. Valid
     * while a thread of the space lives; the guest cannot write to them. NULL: nobody looks. */
    atomic_uint *(*space_waiters)(struct platform_space *s);

    /* The host clock (clock_gettime) of whatever runs guest code for c: counts CPU time while guest
     * code runs for it, possibly from before c had it. 0: there is none now. Owner only; may change
     * with ctx_switch_space. Valid until then or ctx_free; reading it later fails. NULL: the owner
     * itself runs guest code, and its clock counts for both. */
    int (*ctx_cpu_clock)(struct platform_ctx *c);

    /* Extended state in XSAVE (standard, not compacted) format, as the host kernel's signal frame
     * and NT_X86_XSTATE use. size is platform_xstate_size(). Owner only, outside ctx_run. */
    int (*ctx_xstate_get)(struct platform_ctx *c, void *buf, size_t size);
    int (*ctx_xstate_set)(struct platform_ctx *c, const void *buf, size_t size);
    /* Gives dst the extended state of src; both owned by the caller (clone, before hand-over). */
    int (*ctx_xstate_copy)(struct platform_ctx *dst, struct platform_ctx *src);
};

/* Bytes of the host's XSAVE area for the enabled features (CPUID 0xd.0 EBX). */
size_t platform_xstate_size(void);

/* The back ends in order of preference, NULL-terminated. */
extern const struct platform_ops *const g_platforms[];
/* name: ptrace, seccomp (systrap), kvm. NULL: this build has none of that name; out_probe->reason
 * says so. Probes nothing. */
const struct platform_ops *platform_find(const char *name, struct platform_probe *out_probe);
/* For a process that will call platform_start with this name: what device says of the platform that it
 * may start. -1: it needs none, or start must find out what is wrong. */
int platform_device(const char *name);
/* Starts the platform of that name, or for auto the first that starts: the order of g_platforms is
 * that of their costs wherever both were measured, and doctor measures them. -ENOENT: no such name;
 * otherwise what start returned. */
int platform_start(const char *name, const struct platform_config *config,
                   const struct platform_ops **out_ops, struct platform **out);
