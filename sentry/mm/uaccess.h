/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only way to guest bytes. Guest addresses are integers; every copy looks the pages up, faults
 * them in as the guest's own access would, and fails with -EFAULT where the guest would get SIGSEGV
 * or SIGBUS. Never runs past 2^47. Caller holds no lock ranked at or after MM; may block.
 */
#pragma once

#include <sys/types.h>

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct mm;

/* All or nothing for the return value (0 / -EFAULT); bytes before the fault may have been copied.
 */
int MUST_CHECK copy_in(void *dst, uaddr_t src, size_t size);
int MUST_CHECK copy_out(uaddr_t dst, const void *src, size_t size);
/* Bytes copied before the first fault (Linux's partial read/write rule). */
size_t copy_in_partial(void *dst, uaddr_t src, size_t size);
size_t copy_out_partial(uaddr_t dst, const void *src, size_t size);
size_t clear_out_partial(uaddr_t dst, size_t size);
/* NUL-terminated string; returns its length without NUL, -EFAULT, or -ENAMETOOLONG when there is no
 * NUL within size bytes. */
ssize_t MUST_CHECK copy_in_str(char *dst, uaddr_t src, size_t size);
/* Copies a versioned struct of usize bytes: what it lacks is zero, what it has beyond ours must be
 * (-E2BIG). */
int MUST_CHECK copy_struct_from_user(void *dst, size_t size, uaddr_t src, size_t usize);
/* Allocated path string for system calls: -EFAULT, -ENAMETOOLONG (PATH_MAX), -ENOMEM, and -ENOENT
 * for "" unless empty_ok. Free with free(). */
int MUST_CHECK copy_in_path(uaddr_t src, bool empty_ok, char **out);

/* Typed helpers: get_user(&v, addr). */
#define get_user(ptr, uaddr) copy_in((ptr), (uaddr), sizeof(*(ptr)))
#define put_user(ptr, uaddr) copy_out((uaddr), (ptr), sizeof(*(ptr)))

/* Another address space (ptrace, process_vm_*, /proc/PID/mem, exec's new stack). force: ignore
 * the vma's protection as ptrace does (private pages only; copies on write). */
size_t mm_copy_in_partial(struct mm *mm, void *dst, uaddr_t src, size_t size, bool force);
size_t mm_copy_out_partial(struct mm *mm, uaddr_t dst, const void *src, size_t size, bool force);

/* Atomic access to an aligned guest word of the current mm (futex). op runs on the sentry's mapping
 * of the page. -EFAULT; -EAGAIN never. */
int MUST_CHECK user_atomic_load32(uaddr_t addr, uint32_t *out);
/* Keeps the word in place: between them it may be read with locks that come after MM. Between, nobody may
 * touch guest memory otherwise. -EFAULT: it is not held. */
struct host_window;
struct user_word {
    struct mm *mm;
    void *ptr;
    struct host_window *win; /* pinned, or NULL */
};
int MUST_CHECK user_word_hold(uaddr_t addr, struct user_word *w) NO_THREAD_SAFETY;
int MUST_CHECK user_word_load(const struct user_word *w, uint32_t *out);
void user_word_release(struct user_word *w) NO_THREAD_SAFETY;
/* *old is what was there; stores want only if it equalled *old. 0 also when it differed. */
int MUST_CHECK user_atomic_cmpxchg32(uaddr_t addr, uint32_t *old, uint32_t want);

/* Identity of a futex word that is the same for all who share it: for private-anonymous memory (mm,
 * addr), for shared memory (backing object, offset). */
struct futex_key {
    uint64_t a, b;
};
int MUST_CHECK user_futex_key(uaddr_t addr, bool process_private, bool write,
                              struct futex_key *out);
