/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces: vma set -> page map -> platform mapping. See mm/README.md.
 */
#pragma once

#include "platform/base/refs.h"
#include "platform/platform.h"
#include "sentry/abi/types.h"
#include "sentry/mm/mappable.h"

struct file;
struct mm;

/* Guest protection and mapping flags (mman.h) live in sentry/abi/mman.h: LX_PROT_*, LX_MAP_*. */

/* Inverted needs: how mm names and pins the open file behind a vma. fs/ fills it at boot. */
struct mm_file_ops {
    struct file *(*get)(struct file *f);
    void (*put)(struct file *f);
    struct mappable *(*mappable)(struct file *f); /* borrowed; NULL: -ENODEV */
};
extern const struct mm_file_ops *g_mm_file_ops;

/* vm.overcommit_memory, _ratio and _kbytes: what mmap and brk refuse. */
struct mm_overcommit {
    _Atomic long mode, ratio, kbytes; /* a */
};
extern struct mm_overcommit g_mm_overcommit;
/* Pages of private writable memory that were promised (Committed_AS), and that mode 2 promises in
 * all (CommitLimit). */
uint64_t mm_committed(void);
uint64_t mm_commit_limit(void);

int mm_subsystem_init(const struct platform_ops *ops, struct platform *p);

/* Lifetime: refcounted. -ENOMEM, -EAGAIN. */
int MUST_CHECK mm_new(struct mm **out);
/* fork: copy-on-write copy. caller: the calling thread's ctx in old's space. */
/* sp: the caller's stack pointer; the pages around it are copied at once (0: none). */
int MUST_CHECK mm_fork(struct mm *old, struct platform_ctx *caller, uaddr_t sp, struct mm **out);
struct mm *mm_get(struct mm *mm);
/* A reference of a task that runs in it; mm_new and mm_fork return one. */
struct mm *mm_use_get(struct mm *mm);
void mm_use_put(struct mm *mm);
/* Does another task run in it, of this process or another? The caller does. Once nobody else does, nobody else can. */
bool mm_is_shared(const struct mm *mm);
/* The last put unmaps everything. May block; holds no lock. */
void mm_put(struct mm *mm);
struct platform_space *mm_space(struct mm *mm);
/* exec: unmap all (the stub and the struct stay, for spaces nobody shares). */
void mm_clear(struct mm *mm);

/* Something of a higher layer that lives as long as the address space is used: Linux AIO's contexts.
 * Lifetime: unique, owned by the mm. */
struct mm_attachment {
    void (*destroy)(struct mm_attachment *a); /* frees; no lock held, may block */
};
struct mm_attachment *mm_attachment(struct mm *mm); /* borrowed, or NULL */
/* false: there is one already, the caller keeps a. */
bool mm_attach(struct mm *mm, struct mm_attachment *a);

struct mmap_args {
    uaddr_t addr;
    uint64_t size;
    uint32_t prot, flags; /* LX_PROT_*, LX_MAP_* as the guest gave them */
    struct file *file;    /* borrowed; NULL with LX_MAP_ANONYMOUS */
    struct mappable
        *object; /* borrowed; overrides file's (SysV shm, shared anonymous made elsewhere) */
    uint64_t offset;
    const char *name; /* static label for /proc/PID/maps ("[vdso]", "[stack]") or NULL */
    uint32_t
        max_prot; /* file, object: LX_PROT_* that the descriptor's mode and mount allow; 0: all */
    bool grows_down;
};
/* Address or -errno, checks in Linux's order. */
int64_t mm_mmap(struct mm *mm, const struct mmap_args *args);
int mm_munmap(struct mm *mm, uaddr_t addr, uint64_t size);
int mm_mprotect(struct mm *mm, uaddr_t addr, uint64_t size, uint32_t prot);
int64_t mm_mremap(struct mm *mm, uaddr_t old, uint64_t old_size, uint64_t new_size, uint32_t flags,
                  uaddr_t new_addr);
int mm_madvise(struct mm *mm, uaddr_t addr, uint64_t size, int advice);
/* Returns the break in force afterwards (Linux never fails here). */
uaddr_t mm_brk(struct mm *mm, uaddr_t brk);
int mm_mincore(struct mm *mm, uaddr_t addr, uint64_t size, uaddr_t vec);
int mm_msync(struct mm *mm, uaddr_t addr, uint64_t size, uint32_t flags);
int mm_mlock(struct mm *mm, uaddr_t addr, uint64_t size, bool lock, bool on_fault);
int mm_mlockall(struct mm *mm, uint32_t flags); /* 0: munlockall */
/* remap_file_pages(2): the shared mapping at [addr, +size) shows its file from offset on. */
int mm_remap_pages(struct mm *mm, uaddr_t addr, uint64_t size, uint64_t offset);
/* Every mapping of the kernel's that has this very name shows that object instead. -ENOMEM. */
int MUST_CHECK mm_show_special(struct mm *mm, const char *name, struct mappable *object);
/* 1: a page is there, 0: not touched, -EFAULT: nothing mapped at addr. */
int mm_page_state(struct mm *mm, uaddr_t addr);
bool mm_range_mapped(struct mm *mm, uaddr_t addr, uint64_t size); /* without gaps */
/* Who waits for the private futex at addr is counted there; NULL: nowhere. Valid while a thread runs in
 * mm. See platform.h, space_waiters. */
atomic_uint *mm_wait_counter(struct mm *mm, uaddr_t addr);
int mm_mseal(struct mm *mm, uaddr_t addr, uint64_t size);

/* Resolves a guest fault. 0: run again. -EFAULT: SIGSEGV, *out_code SEGV_MAPERR or SEGV_ACCERR;
 * -ENXIO: SIGBUS BUS_ADRERR; -ENOMEM: out of memory (SIGKILL by the guest OOM rule). */
int mm_handle_fault(struct mm *mm, const struct platform_event *ev, const struct lx_regs *regs,
                    int *out_code);

/* A call with number nr from ip came often: offers its site to the platform (platform.h, "Call
 * sites"), with room for it, if its page is code of a file that nobody can write to. 0: done. May
 * block. */
int mm_offer_site(struct mm *mm, uaddr_t ip, uint32_t nr);
/* Shows all code as it is, from now on: somebody looks closely (ptrace). */
void mm_sites_off(struct mm *mm);

/* What exec tells mm about the new image: addresses for /proc/PID/stat, cmdline, environ, auxv. */
struct mm_layout {
    uaddr_t start_code, end_code, start_data, end_data, start_brk, start_stack;
    uaddr_t arg_start, arg_end, env_start, env_end;
    uaddr_t vdso;
    uint64_t auxv[64];
    uint32_t auxv_count; /* words */
};
struct mm_layout *
mm_layout(struct mm *mm);               /* written by exec before the mm is visible, prctl after */
struct file *mm_exe_get(struct mm *mm); /* +1 or NULL */
void mm_exe_set(struct mm *mm, struct file *exe);
uaddr_t mm_mmap_base(struct mm *mm);
/* The empty heap of a new image. */
void mm_set_start_brk(struct mm *mm, uaddr_t start);
/* ASLR: lays out mmap base and stack top for a new image; stack_limit: RLIMIT_STACK. */
void mm_layout_init(struct mm *mm, uint64_t stack_limit, bool randomize);
/* The initial stack vma with room for size bytes below the randomised top; returns the top. */
int64_t mm_setup_stack(struct mm *mm, uint64_t size, uint32_t prot);
bool mm_dumpable(struct mm *mm);
void mm_set_dumpable(struct mm *mm, int dumpable);
/* LX_PR_MDWE_* bits: nothing becomes executable that is or was writable. Once set they stay: -EPERM. */
uint32_t mm_mdwe(struct mm *mm);
int MUST_CHECK mm_set_mdwe(struct mm *mm, uint32_t bits);
/* What a child and an exec inherit of them. */
uint32_t mm_mdwe_inherited(struct mm *mm);
/* exec: whatever was set before. */
void mm_renew_mdwe(struct mm *mm, uint32_t bits);

/* One line of /proc/PID/maps + smaps numbers; cb returns false to stop. Called with mm locked: cb
 * must only format into memory. */
struct mm_vma_info {
    uaddr_t start, end;
    uint32_t prot;
    bool shared, grows_down, locked, dontdump;
    struct file *file;       /* borrowed during cb; NULL for anonymous */
    struct mappable *object; /* borrowed during cb; NULL for private anonymous memory */
    uint64_t offset;
    const char *name;
    uint64_t rss, anon, swap;
};
void mm_for_each_vma(struct mm *mm, uaddr_t from,
                     bool (*cb)(void *arg, const struct mm_vma_info *info), void *arg);
struct mm_usage {
    uint64_t total_vm, locked_vm, data_vm, stack_vm, exec_vm, rss_anon, rss_file, rss_shmem,
        peak_rss, peak_vm, page_tables;
};
void mm_usage(struct mm *mm, struct mm_usage *out);
uint64_t mm_minor_faults(struct mm *mm);

/*
 * Pins: a private, writable page whose place in the memory file others than the guest use too (the
 * host, for restartable sequences). It is not freed and never shared by fork while it is pinned; the
 * guest may unmap or replace it, which mm_pin_changes counts (so does a change of its rights).
 * Lifetime: unique per call; unpinned before the mm goes, after nobody else can reach the page any
 * more but for changes that the platform has yet to apply.
 */
struct mm_pin;
/* -EFAULT: no page that may be written; -EOPNOTSUPP: it is not private; -ENOMEM. */
int MUST_CHECK mm_pin_page(struct mm *mm, uaddr_t addr, struct mm_pin **out);
void mm_unpin_page(struct mm *mm, struct mm_pin *pin);
/* Where its page begins in memfile_fd(). */
uint64_t mm_pin_offset(const struct mm_pin *pin);
const atomic_uint *mm_pin_changes(const struct mm *mm);
