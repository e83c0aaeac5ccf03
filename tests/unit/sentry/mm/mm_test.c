/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces on the fake platform. The random test drives several processes (fork, map, unmap,
 * protect, move, discard, guest and sentry accesses) against a model of one tag per page; after
 * every step the guest's own view through the platform must never show another page than the model
 * says, nor allow more than the vma does.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/fake/fake.h"
#include "sentry/core/curr.h"
#include "sentry/mm/iov_iter.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/mm/safecopy.h"
#include "sentry/mm/shared_object.h"
#include "sentry/mm/uaccess.h"

#define BASE   0x10000000ul
#define PAGES  64u
#define PROCS  4
#define ROUNDS 30000

static struct platform *g_platform;
static struct curr g_self;

struct model_page {
    uint8_t mapped, prot; /* LX_PROT_* */
    uint8_t shared;       /* 1 + index of a shared object's page, 0: private */
    uint32_t tag;         /* private: first word */
};
struct model {
    struct mm *mm;
    struct model_page page[PAGES];
};
static struct model g_proc[PROCS];
static struct mappable *g_object;
static uint32_t g_object_tag[PAGES];

static void use(struct mm *mm)
{
    g_self.mm = mm;
}

static uaddr_t page_addr(uint32_t page)
{
    return BASE + page * LX_PAGE_SIZE;
}

static int fault(struct mm *mm, uaddr_t addr, uint32_t access)
{
    struct platform_event ev = {.kind = PLATFORM_FAULT, .fault_addr = addr, .fault_access = access};
    struct lx_regs regs = {.rip = 0x5000};
    int code;

    return mm_handle_fault(mm, &ev, &regs, &code);
}

/* A guest access: faults as long as the platform refuses. 0 or the fault's error. */
static int guest_access(struct mm *mm, uaddr_t addr, uint32_t *word, bool write, bool tell)
{
    uint32_t access = !tell ? 0 : write ? PLATFORM_ACCESS_WRITE : PLATFORM_ACCESS_READ;
    int i, ret;

    for (i = 0; i < 8; i++) {
        ret = write ? fake_space_write(mm_space(mm), addr, word, sizeof(*word))
                    : fake_space_read(mm_space(mm), addr, word, sizeof(*word));
        if (ret == 0)
            return 0;
        ret = fault(mm, addr, access);
        if (ret < 0)
            return ret;
    }
    fail_msg("fault at %lx never ends", addr);
    return -EIO;
}

static uint32_t expected_tag(const struct model_page *p)
{
    return p->shared ? g_object_tag[p->shared - 1] : p->tag;
}

/* What the platform shows without a fault must agree with the model. */
static void check_view(struct model *m)
{
    struct fake_mapping fm;
    uint32_t i, word;

    for (i = 0; i < PAGES; i++) {
        if (!fake_space_find(mm_space(m->mm), page_addr(i), &fm))
            continue;
        if (!m->page[i].mapped)
            assert_int_equal(fm.prot & 7, 0);
        assert_int_equal(fm.prot & ~(int)prot_effective(m->page[i].prot) & 7, 0);
        if (!(fm.prot & PROT_READ))
            continue;
        assert_int_equal(fake_space_read(mm_space(m->mm), page_addr(i), &word, 4), 0);
        assert_int_equal(word, expected_tag(&m->page[i]));
    }
}

static int64_t map_at(struct mm *mm, uint32_t first, uint32_t n, uint32_t prot, bool shared)
{
    struct mmap_args a = {
        .addr = page_addr(first),
        .size = n * LX_PAGE_SIZE,
        .prot = prot,
        .flags = LX_MAP_FIXED | (shared ? LX_MAP_SHARED : LX_MAP_PRIVATE | LX_MAP_ANONYMOUS),
        .object = shared ? g_object : NULL,
        .offset = shared ? first * LX_PAGE_SIZE : 0,
    };

    return mm_mmap(mm, &a);
}

static void op_map(struct model *m, uint32_t first, uint32_t n)
{
    static const uint8_t prots[] = {0, 1, 3, 3, 3, 5, 7};
    uint32_t prot = prots[rand() % 7], i;
    bool shared = rand() % 4 == 0;

    assert_int_equal(map_at(m->mm, first, n, prot, shared), page_addr(first));
    for (i = first; i < first + n; i++)
        m->page[i] = (struct model_page){
            .mapped = 1, .prot = (uint8_t)prot, .shared = shared ? (uint8_t)(i + 1) : 0};
}

static void op_protect(struct model *m, uint32_t first, uint32_t n)
{
    static const uint8_t prots[] = {0, 1, 3, 5, 7};
    uint32_t prot = prots[rand() % 5], i, end = first;

    while (end < first + n && m->page[end].mapped)
        end++;
    assert_int_equal(mm_mprotect(m->mm, page_addr(first), n * LX_PAGE_SIZE, prot),
                     end == first + n ? 0 : -ENOMEM);
    for (i = first; i < end; i++)
        m->page[i].prot = (uint8_t)prot;
}

static void op_discard(struct model *m, uint32_t first, uint32_t n)
{
    bool gap = false;
    uint32_t i;

    for (i = first; i < first + n; i++) {
        gap |= !m->page[i].mapped;
        m->page[i].tag = 0;
    }
    assert_int_equal(mm_madvise(m->mm, page_addr(first), n * LX_PAGE_SIZE, LX_MADV_DONTNEED),
                     gap ? -ENOMEM : 0);
}

static void op_move(struct model *m, uint32_t first, uint32_t n)
{
    uint32_t to = (uint32_t)rand() % (PAGES - n + 1), i;
    bool same = true;
    int64_t ret;

    if (to < first + n && first < to + n)
        return;
    for (i = first; i < first + n; i++) {
        const struct model_page *a = &m->page[first], *b = &m->page[i];

        same &= b->mapped && a->prot == b->prot && !a->shared == !b->shared &&
                (!b->shared || (uint32_t)(b->shared - a->shared) == i - first);
    }
    if (!same)
        return;
    ret = mm_mremap(m->mm, page_addr(first), n * LX_PAGE_SIZE, n * LX_PAGE_SIZE,
                    LX_MREMAP_MAYMOVE | LX_MREMAP_FIXED, page_addr(to));
    assert_int_equal(ret, page_addr(to));
    memcpy(&m->page[to], &m->page[first], n * sizeof(m->page[0]));
    memset(&m->page[first], 0, n * sizeof(m->page[0]));
}

static void op_fork(struct model *m)
{
    struct model *child = &g_proc[rand() % PROCS];
    struct platform_ctx *ctx;

    if (child == m)
        return;
    if (child->mm)
        mm_put(child->mm);
    *child = *m;
    assert_int_equal(g_platform_fake_ops.ctx_new(mm_space(m->mm), NULL, &ctx), 0);
    assert_int_equal(mm_fork(m->mm, rand() % 4 ? ctx : NULL,
                             rand() % 2 ? page_addr((uint32_t)rand() % PAGES) + 8 : 0, &child->mm),
                     0);
    g_platform_fake_ops.ctx_free(ctx);
    check_view(child);
}

static void op_access(struct model *m, uint32_t page)
{
    struct model_page *p = &m->page[page];
    bool write = rand() % 2, sentry = rand() % 2, tell = rand() % 2;
    uint32_t word = (uint32_t)rand();
    uaddr_t addr = page_addr(page);
    bool allowed = p->mapped && (write ? (p->prot & 2) != 0 : p->prot != 0);
    int ret;

    use(m->mm);
    if (sentry)
        ret = write ? copy_out(addr, &word, 4) : copy_in(&word, addr, 4);
    else
        ret = guest_access(m->mm, addr, &word, write, tell);
    assert_int_equal(ret, allowed ? 0 : -EFAULT);
    if (!allowed)
        return;
    if (!write)
        assert_int_equal(word, expected_tag(p));
    else if (p->shared)
        g_object_tag[p->shared - 1] = word;
    else
        p->tag = word;
}

static void test_random(void **state)
{
    struct memfile_stats st;
    uint64_t before;
    int round, i;

    (void)state;
    srand(1);
    memfile_stats(&st);
    before = st.used[MEMFILE_ANON];
    assert_int_equal(shared_object_new(PAGES * LX_PAGE_SIZE, true, &g_object), 0);
    for (round = 0; round < ROUNDS; round++) {
        struct model *m = &g_proc[rand() % PROCS];
        uint32_t first = (uint32_t)rand() % PAGES;
        uint32_t n = 1 + (uint32_t)rand() % MIN(PAGES - first, 20u), k;

        if (!m->mm) {
            memset(m, 0, sizeof(*m));
            assert_int_equal(mm_new(&m->mm), 0);
        }
        switch (rand() % 16) {
        case 0:
        case 1:
            op_map(m, first, n);
            break;
        case 2:
            assert_int_equal(mm_munmap(m->mm, page_addr(first), n * LX_PAGE_SIZE), 0);
            memset(&m->page[first], 0, n * sizeof(m->page[0]));
            break;
        case 3:
            op_protect(m, first, n);
            break;
        case 4:
            op_discard(m, first, n);
            break;
        case 5:
            op_move(m, first, n);
            break;
        case 6:
            op_fork(m);
            break;
        case 7:
            if (rand() % 8 == 0) {
                mm_put(m->mm);
                m->mm = NULL;
            } else if (rand() % 8 == 0) {
                mappable_invalidate(g_object, first, n, rand() % 2);
            }
            break;
        default:
            for (k = 0; k < 4; k++)
                op_access(m, (uint32_t)rand() % PAGES);
            break;
        }
        for (i = 0; i < PROCS; i++) {
            if (g_proc[i].mm)
                check_view(&g_proc[i]);
        }
    }
    for (i = 0; i < PROCS; i++) {
        if (g_proc[i].mm)
            mm_put(g_proc[i].mm);
        g_proc[i].mm = NULL;
    }
    g_object->ops->put(g_object);
    memfile_stats(&st);
    assert_int_equal(st.used[MEMFILE_ANON], before);
    assert_int_equal(st.used[MEMFILE_TMPFS], 0);
}

/* ---- host files ---------------------------------------------------------------------------- */

/* A file of the host as an object: BACKING_HOST runs. */
static struct {
    struct mappable map;
    struct hostmem *host;
    uint64_t pages;
} g_file;

static int file_translate(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                          struct backing *out)
{
    (void)m;
    (void)write;
    if (pgoff >= g_file.pages)
        return -ENXIO;
    *out = (struct backing){.kind = BACKING_HOST,
                            .host = hostmem_get(g_file.host),
                            .host_off = pgoff * LX_PAGE_SIZE,
                            .count = (uint32_t)MIN(count, g_file.pages - pgoff)};
    return 0;
}

static void file_ref(struct mappable *m)
{
    (void)m;
}

static const struct mappable_ops file_mappable_ops = {
    .translate = file_translate, .get = file_ref, .put = file_ref};

static uaddr_t map_file(struct mm *mm, uint32_t flags, uint64_t pages)
{
    struct mmap_args a = {
        .size = pages * LX_PAGE_SIZE, .prot = 3, .flags = flags, .object = &g_file.map};
    int64_t ret = mm_mmap(mm, &a);

    assert_true(ret > 0);
    return (uaddr_t)ret;
}

static void test_host_file(void **state)
{
    uaddr_t shared, private;
    struct mm *mm;
    char buf[8192];
    uint32_t w;
    int fd = memfd_create("file", 0);

    (void)state;
    assert_int_equal(uaccess_fault_init(), 0); /* after cmocka took the signals */
    g_file.pages = 3;
    assert_int_equal(ftruncate(fd, 3 * 4096), 0);
    assert_int_equal(pwrite(fd, "first", 5, 0), 5);
    assert_int_equal(hostmem_new_take(fd, true, &g_file.host), 0);
    mappable_init(&g_file.map, &file_mappable_ops);
    assert_int_equal(mm_new(&mm), 0);
    use(mm);
    shared = map_file(mm, LX_MAP_SHARED, 4);
    private = map_file(mm, LX_MAP_PRIVATE, 4);
    assert_int_equal(copy_in(buf, shared, 5), 0);
    assert_memory_equal(buf, "first", 5);
    assert_int_equal(copy_out(private, "local", 5), 0);
    assert_int_equal(copy_in(buf, shared, 5), 0);
    assert_memory_equal(buf, "first", 5);
    assert_int_equal(copy_out(shared + 4090, "across pages", 12), 0);
    assert_int_equal(pread(fd, buf, 12, 4090), 12);
    assert_memory_equal(buf, "across pages", 12);
    assert_int_equal(copy_in(buf, private + 4096, 6), 0);
    assert_memory_equal(buf, " pages", 6);
    /* Past the end of the file: SIGBUS. */
    assert_int_equal(copy_in(buf, shared + 3 * 4096, 1), -EFAULT);
    assert_int_equal(fault(mm, shared + 3 * 4096, PLATFORM_ACCESS_READ), -ENXIO);
    /* Truncated behind our back: an error, not a crash; bytes before it count. */
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(copy_in_partial(buf, shared + 4000, 8192 - 4000), 96);
    assert_int_equal(copy_out(shared + 4096, "x", 1), -EFAULT);
    assert_int_equal(copy_in(buf, private, 5), 0);
    assert_memory_equal(buf, "local", 5);
    g_file.pages = 1;
    mappable_invalidate(&g_file.map, 1, UINT64_MAX >> 12, true);
    assert_int_equal(guest_access(mm, shared + 4096, &w, false, true), -ENXIO);
    assert_int_equal(guest_access(mm, shared, &w, false, true), 0);
    assert_true(mappable_writable_mapped(&g_file.map));
    mm_put(mm);
    assert_false(mappable_mapped(&g_file.map));
    hostmem_put(g_file.host);
    mappable_destroy(&g_file.map);
}

/* Reads from the sentry's mapping, and what is left of them when the host takes bytes away. */
static void test_host_read(void **state)
{
    enum { FILE_PAGES = 512 };
    struct hostmem *h;
    struct iov_iter it;
    char buf[16384];
    int fd = memfd_create("file", 0);

    (void)state;
    assert_int_equal(uaccess_fault_init(), 0); /* after cmocka took the signals */
    assert_int_equal(ftruncate(fd, FILE_PAGES * 4096), 0);
    assert_int_equal(pwrite(fd, "across", 6, 4093), 6);
    assert_int_equal(pwrite(fd, "window", 6, (1 << 20) - 3), 6);
    assert_int_equal(hostmem_new_take(fd, false, &h), 0);
    iov_iter_init_kernel(&it, buf, sizeof(buf));
    assert_int_equal(hostmem_read(h, 4093, 6, true, &it), 6);
    assert_memory_equal(buf, "across", 6);
    assert_int_equal(iov_iter_count(&it), sizeof(buf) - 6);
    iov_iter_init_kernel(&it, buf, sizeof(buf));
    assert_int_equal(hostmem_read(h, (1 << 20) - 3, 6, true, &it), 3); /* the window ends */
    assert_int_equal(hostmem_read(h, 1 << 20, 3, true, &it), 3);
    assert_memory_equal(buf, "window", 6);
    assert_int_equal(ftruncate(fd, 2 * 4096), 0);
    iov_iter_init_kernel(&it, buf, sizeof(buf));
    assert_int_equal(hostmem_read(h, 4000, 12000, true, &it), 2 * 4096 - 4000);
    assert_int_equal(hostmem_read(h, 1 << 20, 3, true, &it), 0);
    hostmem_put(h);
}

/* ---- the rest ------------------------------------------------------------------------------ */

static int64_t anon(struct mm *mm, uaddr_t addr, uint64_t size, uint32_t prot, uint32_t flags)
{
    struct mmap_args a = {.addr = addr,
                          .size = size,
                          .prot = prot,
                          .flags = LX_MAP_PRIVATE | LX_MAP_ANONYMOUS | flags};

    return mm_mmap(mm, &a);
}

static void test_errors(void **state)
{
    struct mm *mm;
    int64_t at;

    (void)state;
    assert_int_equal(mm_new(&mm), 0);
    assert_int_equal(anon(mm, 0, 0, 3, 0), -EINVAL);
    assert_int_equal(anon(mm, 0, UINT64_MAX, 3, 0), -ENOMEM);
    assert_int_equal(anon(mm, 0, 1ul << 47, 3, 0), -ENOMEM);
    assert_int_equal(anon(mm, 0x10001, 4096, 3, LX_MAP_FIXED), -EINVAL);
    at = anon(mm, 0, 4 * 4096, 3, 0);
    assert_true(at > 0);
    assert_int_equal(anon(mm, (uaddr_t)at, 4096, 3, LX_MAP_FIXED_NOREPLACE), -EEXIST);
    assert_int_equal(mm_munmap(mm, (uaddr_t)at + 1, 4096), -EINVAL);
    assert_int_equal(mm_munmap(mm, (uaddr_t)at, 0), -EINVAL);
    assert_int_equal(mm_mprotect(mm, (uaddr_t)at + 4 * 4096, 4096, 1), -ENOMEM);
    assert_int_equal(mm_mprotect(mm, (uaddr_t)at, 4096, 0x40), -EINVAL);
    assert_int_equal(mm_mprotect(mm, (uaddr_t)at, 4096, LX_PROT_GROWSDOWN), -EINVAL);
    assert_int_equal(mm_madvise(mm, (uaddr_t)at, 4096, 77), -EINVAL);
    assert_int_equal(mm_mremap(mm, (uaddr_t)at, 4096, 0, 0, 0), -EINVAL);
    assert_int_equal(mm_mremap(mm, (uaddr_t)at, 5 * 4096, 8 * 4096, 1, 0), -EFAULT);
    assert_int_equal(mm_msync(mm, (uaddr_t)at, 4096, LX_MS_SYNC | LX_MS_ASYNC), -EINVAL);
    mm_put(mm);
}

static void test_stack_grows(void **state)
{
    struct mm *mm;
    uint32_t w = 7;
    uaddr_t top;
    int64_t ret;

    (void)state;
    assert_int_equal(mm_new(&mm), 0);
    ret = mm_setup_stack(mm, 8192, 3);
    assert_true(ret > 0);
    top = (uaddr_t)ret;
    assert_int_equal(guest_access(mm, top - 8, &w, true, false), 0);
    assert_int_equal(guest_access(mm, top - 100 * 4096, &w, true, false), 0);
    assert_true(anon(mm, top - 400 * 4096, 4096, 3, LX_MAP_FIXED) > 0);
    /* The guard gap of 256 pages above that mapping must stay. */
    assert_int_equal(guest_access(mm, top - 399 * 4096, &w, true, false), -EFAULT);
    assert_int_equal(guest_access(mm, top - 140 * 4096, &w, true, false), 0);
    mm_put(mm);
}

static void test_brk_and_strings(void **state)
{
    struct mm *mm;
    char buf[64], *path;
    struct iov_iter it;
    uaddr_t b = 0x600000;

    (void)state;
    assert_int_equal(mm_new(&mm), 0);
    use(mm);
    mm_set_start_brk(mm, b);
    assert_int_equal(mm_brk(mm, 0), b);
    assert_int_equal(mm_brk(mm, b + 5000), b + 5000);
    assert_int_equal(copy_out(b, "hello", 6), 0);
    assert_int_equal(copy_in_str(buf, b, 64), 5);
    assert_string_equal(buf, "hello");
    assert_int_equal(copy_in_str(buf, b, 5), -ENAMETOOLONG);
    assert_int_equal(copy_out(b + 8190, "xx", 2), 0);
    assert_int_equal(copy_in_str(buf, b + 8190, 64), -EFAULT);
    assert_int_equal(copy_in_path(b, false, &path), 0);
    assert_string_equal(path, "hello");
    free(path);
    assert_int_equal(copy_in_path(b + 100, false, &path), -ENOENT);
    assert_int_equal(iov_iter_init_user(&it, b + 8190, 100), 0);
    assert_int_equal(copy_to_iter(&it, "abcdef", 6), 2);
    assert_int_equal(iov_iter_count(&it), 98);
    assert_int_equal(mm_brk(mm, b), b);
    assert_int_equal(copy_in_str(buf, b, 64), -EFAULT);
    assert_int_equal(copy_in(buf, UINT64_MAX - 10, 64), -EFAULT);
    mm_put(mm);
}

static void test_force(void **state)
{
    struct mm *mm;
    int64_t at;
    uint32_t w = 9, r = 0;

    (void)state;
    assert_int_equal(mm_new(&mm), 0);
    use(mm);
    at = anon(mm, 0, 4096, 1, 0);
    assert_int_equal(copy_out((uaddr_t)at, &w, 4), -EFAULT);
    assert_int_equal(mm_copy_out_partial(mm, (uaddr_t)at, &w, 4, true), 4);
    assert_int_equal(copy_in(&r, (uaddr_t)at, 4), 0);
    assert_int_equal(r, 9);
    assert_int_equal(mm_mprotect(mm, (uaddr_t)at, 4096, 0), 0);
    r = 0;
    assert_int_equal(mm_copy_in_partial(mm, &r, (uaddr_t)at, 4, true), 4);
    assert_int_equal(r, 9);
    mm_put(mm);
}

static int setup(void **state)
{
    (void)state;
    g_curr = &g_self;
    g_self.cred = cred_kernel();
    assert_int_equal(g_platform_fake_ops.start(NULL, &g_platform), 0);
    assert_int_equal(mm_subsystem_init(&g_platform_fake_ops, g_platform), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),      cmocka_unit_test(test_host_file),
        cmocka_unit_test(test_host_read),   cmocka_unit_test(test_errors),
        cmocka_unit_test(test_stack_grows), cmocka_unit_test(test_brk_and_strings),
        cmocka_unit_test(test_force),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
