// SPDX-License-Identifier: Apache-2.0
/*
 * Donated host files and the sentry's windows to them.
 *
 * Every hostmem has a number (index) so that a page map entry can name it in a few bits. A window
 * is WINDOW_SIZE bytes of one file mapped MAP_SHARED in the sentry, coherent with what the guest
 * maps. Windows are kept on one LRU list, at most WINDOW_MAX in all; a pinned window is never
 * unmapped. A window may reach past the end of the file: access there raises SIGBUS, which
 * safecopy.h turns into an error.
 */
#include "sentry/mm/hostmem_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "platform/base/refs.h"
#include "platform/host/file.h"
#include "platform/host/mem.h"
#include "sentry/mm/iov_iter.h"
#include "sentry/mm/safecopy.h"

#define WINDOW_SHIFT 20
#define WINDOW_SIZE  (1ull << WINDOW_SHIFT)
#define WINDOW_MAX   256u
#define BLOCK_SHIFT  10
#define BLOCK_COUNT  (1u << BLOCK_SHIFT)
#define BLOCKS       (1u << (HOSTMEM_INDEX_BITS - BLOCK_SHIFT))

/* Keys: I immutable; h g_hm.lock */
struct hostmem {
    struct refs refs;    /* a */
    int fd;              /* I, owned */
    bool writable;       /* I */
    uint32_t index;      /* I */
    struct list windows; /* h */
};

/* Lifetime: unique, owned by its hostmem; users > 0 pins it. Keys: h g_hm.lock */
struct host_window {
    struct list of_file;  /* h */
    struct list lru;      /* h */
    struct hostmem *host; /* I, borrowed: a window dies before its file */
    uint64_t number;      /* I: offset >> WINDOW_SHIFT */
    char *addr;           /* I */
    uint32_t users;       /* h */
};

static struct {
    struct mutex lock; /* rank HOSTMEM */
    bool ready;
    _Atomic(struct hostmem **) blocks[BLOCKS];
    uint32_t next_index;  /* h: every smaller one was used once */
    uint32_t *free_index; /* h: stack of free numbers */
    uint32_t free_count, free_room;
    uint32_t window_count; /* h */
    struct list lru;       /* h: oldest first */
} g_hm;

void hostmem_subsystem_init(void)
{
    if (g_hm.ready)
        return;
    mutex_init(&g_hm.lock, RANK_HOSTMEM);
    list_init(&g_hm.lru);
    g_hm.ready = true;
}

static struct hostmem **slot_of(uint32_t index)
{
    return &atomic_load(&g_hm.blocks[index >> BLOCK_SHIFT])[index & (BLOCK_COUNT - 1)];
}

static int index_new_locked(uint32_t *out)
{
    struct hostmem **block;

    if (g_hm.free_count > 0) {
        *out = g_hm.free_index[--g_hm.free_count];
        return 0;
    }
    if (g_hm.next_index == 1u << HOSTMEM_INDEX_BITS)
        return -ENOMEM;
    if (!atomic_load(&g_hm.blocks[g_hm.next_index >> BLOCK_SHIFT])) {
        block = calloc(BLOCK_COUNT, sizeof(struct hostmem *));
        if (!block)
            return -ENOMEM;
        atomic_store(&g_hm.blocks[g_hm.next_index >> BLOCK_SHIFT], block);
    }
    if (g_hm.next_index >= g_hm.free_room) {
        /* The stack can hold every number handed out, so that giving one back never allocates. */
        uint32_t room = g_hm.free_room ? g_hm.free_room * 2 : 64;
        uint32_t *grown = realloc(g_hm.free_index, room * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        g_hm.free_index = grown;
        g_hm.free_room = room;
    }
    *out = g_hm.next_index++;
    return 0;
}

int hostmem_new_take(int fd, bool writable, struct hostmem **out)
{
    struct hostmem *h = malloc(sizeof(*h));
    int ret;

    if (!h)
        return -ENOMEM;
    refs_init(&h->refs);
    h->fd = fd;
    h->writable = writable;
    list_init(&h->windows);
    mutex_lock(&g_hm.lock);
    ret = index_new_locked(&h->index);
    if (ret == 0)
        *slot_of(h->index) = h;
    mutex_unlock(&g_hm.lock);
    if (ret < 0) {
        free(h);
        return ret;
    }
    *out = h;
    return 0;
}

struct hostmem *hostmem_get(struct hostmem *h)
{
    refs_get(&h->refs);
    return h;
}

void hostmem_get_many(struct hostmem *h, uint32_t count)
{
    if (count == 0)
        return;
    refs_get(&h->refs);
    /* relaxed, unchecked: the reference just taken keeps the object, and the number of guest pages
     * that map one file stays far below REFS_SATURATED. */
    atomic_fetch_add_explicit(&h->refs.count, count - 1, memory_order_relaxed);
}

static void window_free_locked(struct host_window *w)
{
    ASSERT(w->users == 0);
    list_del(&w->of_file);
    list_del(&w->lru);
    g_hm.window_count--;
    host_munmap(w->addr, WINDOW_SIZE);
    free(w);
}

static void hostmem_free(struct hostmem *h)
{
    mutex_lock(&g_hm.lock);
    while (!list_empty(&h->windows))
        window_free_locked(list_first_entry(&h->windows, struct host_window, of_file));
    *slot_of(h->index) = NULL;
    g_hm.free_index[g_hm.free_count++] = h->index;
    mutex_unlock(&g_hm.lock);
    host_close(h->fd);
    free(h);
}

void hostmem_put(struct hostmem *h)
{
    if (refs_put(&h->refs))
        hostmem_free(h);
}

void hostmem_put_many(struct hostmem *h, uint32_t count)
{
    if (count == 0)
        return;
    /* The caller owns count references, so none of these is the last one. */
    atomic_fetch_sub(&h->refs.count, count - 1);
    hostmem_put(h);
}

int hostmem_fd(const struct hostmem *h)
{
    return h->fd;
}

bool hostmem_writable(const struct hostmem *h)
{
    return h->writable;
}

uint32_t hostmem_index(const struct hostmem *h)
{
    return h->index;
}

struct hostmem *hostmem_by_index(uint32_t index)
{
    return *slot_of(index);
}

static void evict_locked(void)
{
    struct host_window *w;

    list_for_each_entry(w, &g_hm.lru, lru) {
        if (w->users == 0) {
            window_free_locked(w);
            return;
        }
    }
}

static int window_new_locked(struct hostmem *h, uint64_t number, struct host_window **out)
{
    struct host_window *w = malloc(sizeof(*w));
    void *p;
    int ret;

    if (!w)
        return -ENOMEM;
    if (g_hm.window_count >= WINDOW_MAX)
        evict_locked();
    ret = host_mmap(NULL, WINDOW_SIZE, PROT_READ | (h->writable ? PROT_WRITE : 0), MAP_SHARED,
                    h->fd, (int64_t)(number << WINDOW_SHIFT), &p);
    if (ret < 0) {
        free(w);
        return ret;
    }
    *w = (struct host_window){.host = h, .number = number, .addr = p};
    list_add(&h->windows, &w->of_file);
    list_add_tail(&g_hm.lru, &w->lru);
    g_hm.window_count++;
    *out = w;
    return 0;
}

static int pin(struct hostmem *h, uint64_t off, bool may_evict, void **out_ptr,
               struct host_window **out_win)
{
    uint64_t number = off >> WINDOW_SHIFT;
    struct host_window *w = NULL, *it;
    int ret = 0;

    mutex_lock(&g_hm.lock);
    list_for_each_entry(it, &h->windows, of_file) {
        if (it->number == number) {
            w = it;
            /* Most recently used first in the file's list, last on the LRU. */
            list_del(&w->of_file);
            list_add(&h->windows, &w->of_file);
            list_del(&w->lru);
            list_add_tail(&g_hm.lru, &w->lru);
            break;
        }
    }
    if (!w && !may_evict && g_hm.window_count >= WINDOW_MAX)
        ret = -EBUSY;
    else if (!w)
        ret = window_new_locked(h, number, &w);
    if (ret == 0) {
        w->users++;
        *out_ptr = w->addr + (off & (WINDOW_SIZE - 1));
        *out_win = w;
    }
    mutex_unlock(&g_hm.lock);
    return ret;
}

int hostmem_pin(struct hostmem *h, uint64_t off, void **out_ptr, struct host_window **out_win)
{
    return pin(h, off, /*may_evict=*/true, out_ptr, out_win);
}

void hostmem_unpin(struct host_window *w)
{
    mutex_lock(&g_hm.lock);
    ASSERT(w->users > 0);
    w->users--;
    mutex_unlock(&g_hm.lock);
}

size_t hostmem_window_left(uint64_t off)
{
    return (size_t)(WINDOW_SIZE - (off & (WINDOW_SIZE - 1)));
}

/* Faults the pages of [p, p+size) in. Bytes that are there. */
static size_t touch_pages(const char *p, size_t size)
{
    size_t done = 0;

    while (done < size) {
        if (safe_touch(p + done) < 0)
            break;
        /* To the start of the next page. */
        done += LX_PAGE_SIZE - ((uintptr_t)(p + done) & (LX_PAGE_SIZE - 1));
    }
    return MIN(done, size);
}

size_t hostmem_read(struct hostmem *h, uint64_t off, size_t size, bool may_evict,
                    struct iov_iter *dst)
{
    struct host_window *w;
    void *p;

    if (pin(h, off, may_evict, &p, &w) < 0)
        return 0;
    size = MIN(size, hostmem_window_left(off));
    /* Pages that the host has to fetch are waited for here, not under the guest's mm lock. */
    size = copy_to_iter(dst, p, touch_pages(p, size));
    hostmem_unpin(w);
    return size;
}
