// SPDX-License-Identifier: Apache-2.0
/*
 * Copies between the sentry and guest memory. See uaccess.h.
 *
 * Fast path: under mm->lock, four loads find the page map entry; if the platform has the page
 * mapped with the right that is needed, the guest could do the access itself, and a memcpy on the
 * sentry's mapping does it. Otherwise mm_fault_locked resolves the page by the vma's rules first.
 *
 * The bytes may vanish under the copy (truncated host file, host out of memory): safecopy.h returns
 * what was left, and the copy ends there, as if the guest had got SIGBUS.
 */
#include "sentry/mm/uaccess.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/curr.h"
#include "sentry/mm/memcg.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/mm/safecopy.h"

/* A place in the sentry that shows guest bytes; valid while mm->lock is held. */
struct spot {
    void *ptr;
    size_t left;             /* bytes that follow ptr contiguously, at most to the end asked for */
    struct host_window *win; /* pinned, or NULL */
};

static void spot_end(struct spot *s)
{
    if (s->win)
        hostmem_unpin(s->win);
}

static bool entry_allows(const struct mm *mm, pte_t e, uint32_t access, bool force)
{
    if (!(access & PLATFORM_ACCESS_WRITE))
        return (e & PTE_R) || force;
    return (e & PTE_W) || (force && (e & PTE_OWNED) && pte_sharers(e) == 1);
}

/* Sentry address of guest bytes [addr, addr+size), as far as one piece reaches. */
static int spot_find(struct mm *mm, uaddr_t addr, size_t size, uint32_t access, bool force,
                     struct spot *out)
{
    size_t in_page = LX_PAGE_SIZE - (addr & ~LX_PAGE_MASK);
    pte_t *e = page_map_lookup(&mm->pages, addr);
    bool mapped;
    int ret;

    if (unlikely(!e || !entry_allows(mm, *e, access, force))) {
        ret = mm_fault_locked(mm, addr, access, force, &mapped);
        if (ret < 0)
            return -EFAULT;
        e = page_map_lookup(&mm->pages, addr);
        if (!e)
            return -EFAULT;
    }
    out->win = NULL;
    out->left = MIN(size, in_page);
    if (*e & PTE_HOST) {
        uint64_t off = ((uint64_t)pte_page(*e) << LX_PAGE_SHIFT) + (addr & ~LX_PAGE_MASK);

        return hostmem_pin(hostmem_by_index(pte_host(*e)), off, &out->ptr, &out->win);
    }
    out->ptr = (char *)memfile_ptr(pte_page(*e)) + (addr & ~LX_PAGE_MASK);
    /* Pages that follow in the guest and in the memory file make one piece. */
    while (out->left < size) {
        pte_t *next = page_map_lookup(&mm->pages, addr + out->left);

        if (!next || !pte_continues(*e, *next))
            break;
        out->left += MIN(size - out->left, LX_PAGE_SIZE);
        e = next;
    }
    return 0;
}

enum copy_op { COPY_IN, COPY_OUT, COPY_CLEAR };

/* Returns the bytes moved before the first fault. */
static size_t copy_once(struct mm *mm, enum copy_op op, void *buf, uaddr_t addr, size_t size,
                        bool force)
{
    uint32_t access = op == COPY_IN ? PLATFORM_ACCESS_READ : PLATFORM_ACCESS_WRITE;
    size_t done = 0;

    mutex_lock(&mm->lock);
    while (done < size) {
        struct spot s;
        size_t left;

        if (spot_find(mm, addr + done, size - done, access, force, &s) < 0)
            break;
        if (op == COPY_IN)
            left = safe_memcpy((char *)buf + done, s.ptr, s.left);
        else if (op == COPY_OUT)
            left = safe_memcpy(s.ptr, (const char *)buf + done, s.left);
        else
            left = safe_memset(s.ptr, 0, s.left);
        spot_end(&s);
        done += s.left - left;
        if (unlikely(left > 0))
            break;
    }
    mutex_unlock(&mm->lock);
    return done;
}

/* The same; where memory ran out, the OOM killer makes some first. */
static size_t copy_guest(struct mm *mm, enum copy_op op, void *buf, uaddr_t addr, size_t size,
                         bool force)
{
    size_t done = 0;

    ASSERT_MAY_COPY();
    if (unlikely(addr >= LX_TASK_SIZE))
        return 0;
    if (unlikely(size > LX_TASK_SIZE - addr))
        size = LX_TASK_SIZE - addr;
    memcg_oom_forget();
    do {
        done += copy_once(mm, op, buf ? (char *)buf + done : NULL, addr + done, size - done, force);
    } while (unlikely(done < size) && memcg_oom_retry());
    return done;
}

size_t mm_copy_in_partial(struct mm *mm, void *dst, uaddr_t src, size_t size, bool force)
{
    return copy_guest(mm, COPY_IN, dst, src, size, force);
}

size_t mm_copy_out_partial(struct mm *mm, uaddr_t dst, const void *src, size_t size, bool force)
{
    /* SAFETY: COPY_OUT only reads buf. */
    return copy_guest(mm, COPY_OUT, (void *)(uintptr_t)src, dst, size, force);
}

size_t copy_in_partial(void *dst, uaddr_t src, size_t size)
{
    struct mm *mm = curr()->mm;

    return mm ? copy_guest(mm, COPY_IN, dst, src, size, false) : 0;
}

size_t copy_out_partial(uaddr_t dst, const void *src, size_t size)
{
    struct mm *mm = curr()->mm;

    return mm ? mm_copy_out_partial(mm, dst, src, size, false) : 0;
}

size_t clear_out_partial(uaddr_t dst, size_t size)
{
    struct mm *mm = curr()->mm;

    return mm ? copy_guest(mm, COPY_CLEAR, NULL, dst, size, false) : 0;
}

int copy_in(void *dst, uaddr_t src, size_t size)
{
    return copy_in_partial(dst, src, size) == size ? 0 : -EFAULT;
}

int copy_out(uaddr_t dst, const void *src, size_t size)
{
    return copy_out_partial(dst, src, size) == size ? 0 : -EFAULT;
}

/* ---- strings ----------------------------------------------------------------------------- */

ssize_t copy_in_str(char *dst, uaddr_t src, size_t size)
{
    struct mm *mm = curr()->mm;
    size_t done = 0;
    ssize_t ret = -ENAMETOOLONG;

    if (!mm)
        return -EFAULT;
    ASSERT_MAY_COPY();
    mutex_lock(&mm->lock);
    while (done < size) {
        struct spot s;
        size_t left;
        int state = 0;

        if (src + done >= LX_TASK_SIZE || src + done < src ||
            spot_find(mm, src + done, MIN(size - done, LX_TASK_SIZE - (src + done)),
                      PLATFORM_ACCESS_READ, false, &s) < 0) {
            ret = -EFAULT;
            break;
        }
        left = safe_strcpy(dst + done, s.ptr, s.left, &state);
        spot_end(&s);
        done += s.left - left;
        if (state == 1) {
            ret = (ssize_t)done - 1;
            break;
        }
        if (state == 2) {
            ret = -EFAULT;
            break;
        }
    }
    mutex_unlock(&mm->lock);
    return ret;
}

int copy_struct_from_user(void *dst, size_t size, uaddr_t src, size_t usize)
{
    uint8_t rest[64];
    size_t off, n;
    int ret;

    memset(dst, 0, size);
    ret = copy_in(dst, src, usize < size ? usize : size);
    for (off = size; ret == 0 && off < usize; off += n) {
        size_t i;

        n = usize - off < sizeof(rest) ? usize - off : sizeof(rest);
        ret = copy_in(rest, src + off, n);
        for (i = 0; ret == 0 && i < n; i++)
            ret = rest[i] ? -E2BIG : 0;
    }
    return ret;
}

int copy_in_path(uaddr_t src, bool empty_ok, char **out)
{
    char buf[LX_PATH_MAX];
    ssize_t len = copy_in_str(buf, src, sizeof(buf));
    char *copy;

    if (len < 0)
        return (int)len;
    if (len == 0 && !empty_ok)
        return -ENOENT;
    copy = malloc((size_t)len + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, buf, (size_t)len + 1);
    *out = copy;
    return 0;
}

/* ---- futex words ------------------------------------------------------------------------- */

static int word_spot(struct mm *mm, uaddr_t addr, uint32_t access, struct spot *s)
{
    if ((addr & 3) || addr >= LX_TASK_SIZE)
        return -EFAULT;
    return spot_find(mm, addr, 4, access, false, s) < 0 ? -EFAULT : 0;
}

int user_word_hold(uaddr_t addr, struct user_word *w)
{
    struct mm *mm = curr()->mm;
    struct spot s;
    int ret;

    if (!mm)
        return -EFAULT;
    mutex_lock(&mm->lock);
    ret = word_spot(mm, addr, PLATFORM_ACCESS_READ, &s);
    if (ret < 0)
        mutex_unlock(&mm->lock);
    else
        *w = (struct user_word){.mm = mm, .ptr = s.ptr, .win = s.win};
    return ret;
}

int user_word_load(const struct user_word *w, uint32_t *out)
{
    return safe_load32(w->ptr, out);
}

void user_word_release(struct user_word *w)
{
    if (w->win)
        hostmem_unpin(w->win);
    mutex_unlock(&w->mm->lock);
}

int user_atomic_load32(uaddr_t addr, uint32_t *out)
{
    struct user_word w;
    int ret = user_word_hold(addr, &w);

    if (ret == 0) {
        ret = user_word_load(&w, out);
        user_word_release(&w);
    }
    return ret;
}

int user_atomic_cmpxchg32(uaddr_t addr, uint32_t *old, uint32_t want)
{
    struct mm *mm = curr()->mm;
    struct spot s;
    int ret;

    if (!mm)
        return -EFAULT;
    mutex_lock(&mm->lock);
    ret = word_spot(mm, addr, PLATFORM_ACCESS_WRITE, &s);
    if (ret == 0) {
        ret = safe_cmpxchg32(s.ptr, old, want);
        spot_end(&s);
    }
    mutex_unlock(&mm->lock);
    return ret;
}

/* Private words are named by (mm, address), shared ones by (object, offset): bit 0 of b tells them
 * apart, as addresses and offsets of futex words are multiples of 4. */
int user_futex_key(uaddr_t addr, bool process_private, bool write, struct futex_key *out)
{
    struct mm *mm = curr()->mm;
    struct vma *v;
    bool mapped;
    int ret = 0;

    if (!mm || addr >= LX_TASK_SIZE)
        return -EFAULT;
    if (addr & 3)
        return -EINVAL;
    out->a = (uintptr_t)mm;
    out->b = addr;
    if (process_private)
        return 0;
    mutex_lock(&mm->lock);
    ret = mm_fault_locked(mm, addr, write ? PLATFORM_ACCESS_WRITE : PLATFORM_ACCESS_READ, false,
                          &mapped);
    v = vma_set_at(&mm->vmas, addr);
    if (ret < 0 || !v) {
        ret = -EFAULT;
    } else if ((v->flags & VMA_SHARED) && v->object) {
        out->a = (uintptr_t)v->object;
        out->b = (v->offset + (addr - v->start)) | 1;
    }
    mutex_unlock(&mm->lock);
    return ret;
}
