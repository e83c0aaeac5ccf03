/* SPDX-License-Identifier: Apache-2.0 */
/* Programs in memory: what is refused and how, what a loaded image looks like, random damage. */
#include "sentry/loader/loader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform/fake/fake.h"
#include "sentry/abi/elf.h"
#include "sentry/abi/mman.h"
#include "sentry/core/clock.h"
#include "sentry/core/curr.h"
#include "sentry/fs/vfs.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/loader/vdso.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"

#define FILE_PAGES 3u

/* Boot has the real list; nothing is mounted here. */
const struct fs_type *const g_fs_types[] = {NULL};

static struct curr g_self;

/* ---- a file in memory ---------------------------------------------------------------------- */

static uint8_t g_bytes[FILE_PAGES * 4096];
static size_t g_size;
static mfpage_t g_pages;
static struct super g_super;
static struct inode g_inode;
static struct file g_file;
static const struct inode_ops g_inode_ops;

static ssize_t mem_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    size_t n;

    (void)f;
    if (*pos < 0 || (uint64_t)*pos >= g_size)
        return 0;
    n = copy_to_iter(dst, g_bytes + *pos, MIN(g_size - (size_t)*pos, iov_iter_count(dst)));
    *pos += (lx_loff_t)n;
    return (ssize_t)n;
}

static int mem_translate(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                         struct backing *out)
{
    uint64_t pages = (g_size + 4095) / 4096;

    (void)m;
    (void)write;
    if (pgoff >= pages)
        return -ENXIO;
    count = (uint32_t)MIN(count, pages - pgoff);
    memcpy(memfile_ptr(g_pages), g_bytes, sizeof(g_bytes));
    *out = (struct backing){
        .kind = BACKING_MEMFILE, .page = g_pages + (uint32_t)pgoff, .count = count};
    memfile_get(out->page, count);
    return 0;
}

static void mem_ref(struct mappable *m)
{
    (void)m;
}

static const struct mappable_ops g_mem_mappable = {
    .translate = mem_translate, .get = mem_ref, .put = mem_ref};
static const struct file_ops g_mem_file = {.read = mem_read};

static struct mappable *test_mappable(struct file *f)
{
    return &f->inode->map;
}

static struct file *test_get(struct file *f)
{
    refs_get(&f->refs);
    return f;
}

static void test_put(struct file *f)
{
    assert_false(refs_put(&f->refs)); /* the test itself holds one */
}

static const struct mm_file_ops g_test_file_ops = {
    .get = test_get, .put = test_put, .mappable = test_mappable};

/* ---- a small program ----------------------------------------------------------------------- */

static struct lx_elf64_ehdr *ehdr(void)
{
    return (struct lx_elf64_ehdr *)(void *)g_bytes;
}

static struct lx_elf64_phdr *phdr(int i)
{
    return (struct lx_elf64_phdr *)(void *)(g_bytes + sizeof(struct lx_elf64_ehdr)) + i;
}

static void base_elf(uint16_t type, uint64_t vaddr)
{
    uint32_t i;

    for (i = 0; i < sizeof(g_bytes); i++)
        g_bytes[i] = (uint8_t)(i / 16);
    memset(g_bytes, 0, 512);
    g_size = sizeof(g_bytes) - 1000;
    *ehdr() = (struct lx_elf64_ehdr){.e_ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
                                     .e_type = type,
                                     .e_machine = LX_EM_X86_64,
                                     .e_version = 1,
                                     .e_entry = vaddr + 0x200,
                                     .e_phoff = 64,
                                     .e_ehsize = 64,
                                     .e_phentsize = 56,
                                     .e_phnum = 3};
    *phdr(0) = (struct lx_elf64_phdr){.p_type = LX_PT_LOAD,
                                      .p_flags = LX_PF_R | LX_PF_X,
                                      .p_vaddr = vaddr,
                                      .p_filesz = 0x1100,
                                      .p_memsz = 0x1100,
                                      .p_align = 0x1000};
    *phdr(1) = (struct lx_elf64_phdr){.p_type = LX_PT_LOAD,
                                      .p_flags = LX_PF_R | LX_PF_W,
                                      .p_offset = 0x1100,
                                      .p_vaddr = vaddr + 0x3100,
                                      .p_filesz = 0x800,
                                      .p_memsz = 0x5000,
                                      .p_align = 0x1000};
    *phdr(2) = (struct lx_elf64_phdr){.p_type = LX_PT_GNU_STACK, .p_flags = LX_PF_R | LX_PF_W};
}

static void strings(struct exec_strings *s, const char *a, const char *b)
{
    s->size = strlen(a) + 1 + (b ? strlen(b) + 1 : 0);
    s->data = malloc(s->size);
    strcpy(s->data, a);
    if (b)
        strcpy(s->data + strlen(a) + 1, b);
    s->count = b ? 2 : 1;
}

static void request(struct exec_request *rq)
{
    *rq = (struct exec_request){.exe = &g_file,
                                .filename = "/bin/prog",
                                .stack_limit = 8ul << 20,
                                .randomize = true,
                                .uid = 1,
                                .euid = 2,
                                .gid = 3,
                                .egid = 4};
    strings(&rq->argv, "prog", "arg");
    strings(&rq->envp, "HOME=/", NULL);
}

static void request_free(struct exec_request *rq)
{
    free(rq->argv.data);
    free(rq->envp.data);
}

/* Prepares and, if that works, commits into a fresh mm. */
static int load(struct mm **out_mm, struct lx_regs *regs)
{
    struct exec_request rq;
    struct exec_image image;
    struct exec_plan *plan;
    int ret;

    request(&rq);
    ret = loader_prepare(&rq, &image, &plan);
    if (ret == 0) {
        assert_int_equal(mm_new(out_mm), 0);
        ret = loader_commit(plan, &rq, *out_mm, regs);
        loader_plan_free(plan);
        test_put(image.interp_exe);
        if (ret < 0) {
            mm_put(*out_mm);
            *out_mm = NULL;
            ret = -EFAULT; /* past the point of no return */
        }
    }
    request_free(&rq);
    return ret;
}

static int try_load(void)
{
    struct lx_regs regs;
    struct mm *mm = NULL;
    int ret = load(&mm, &regs);

    if (mm)
        mm_put(mm);
    return ret;
}

/* ---- tests --------------------------------------------------------------------------------- */

static uint64_t peek(struct mm *mm, uaddr_t addr)
{
    uint64_t v;

    assert_int_equal(mm_copy_in_partial(mm, &v, addr, 8, false), 8);
    return v;
}

static uint64_t aux(struct mm *mm, uint64_t key)
{
    struct mm_layout *l = mm_layout(mm);
    uint32_t i;

    for (i = 0; i + 1 < l->auxv_count; i += 2) {
        if (l->auxv[i] == key)
            return l->auxv[i + 1];
    }
    return UINT64_MAX;
}

static void check_image(struct mm *mm, const struct lx_regs *regs, uaddr_t base)
{
    char buf[64];
    uaddr_t sp = regs->rsp;

    assert_int_equal(regs->rip, base + 0x200);
    assert_int_equal(sp % 16, 0);
    assert_int_equal(peek(mm, sp), 2);
    assert_int_equal(mm_copy_in_partial(mm, buf, peek(mm, sp + 8), 5, false), 5);
    assert_string_equal(buf, "prog");
    assert_int_equal(mm_copy_in_partial(mm, buf, peek(mm, sp + 16), 4, false), 4);
    assert_string_equal(buf, "arg");
    assert_int_equal(peek(mm, sp + 24), 0);
    assert_int_equal(mm_copy_in_partial(mm, buf, peek(mm, sp + 32), 7, false), 7);
    assert_string_equal(buf, "HOME=/");
    assert_int_equal(peek(mm, sp + 40), 0);
    assert_int_equal(peek(mm, sp + 48), LX_AT_SYSINFO_EHDR);
    assert_int_equal(aux(mm, LX_AT_ENTRY), base + 0x200);
    assert_int_equal(aux(mm, LX_AT_PHDR), base + 64);
    assert_int_equal(aux(mm, LX_AT_PHNUM), 3);
    assert_int_equal(aux(mm, LX_AT_EGID), 4);
    assert_int_equal(mm_copy_in_partial(mm, buf, aux(mm, LX_AT_EXECFN), 10, false), 10);
    assert_string_equal(buf, "/bin/prog");
    /* Text, data, zeroed tail, bss. */
    assert_int_equal(mm_copy_in_partial(mm, buf, base + 0x1080, 16, false), 16);
    assert_memory_equal(buf, g_bytes + 0x1080, 16);
    assert_int_equal(mm_copy_in_partial(mm, buf, base + 0x38f0, 32, false), 32);
    assert_memory_equal(buf, g_bytes + 0x18f0, 16);
    assert_int_equal(peek(mm, base + 0x3900), 0);
    assert_int_equal(peek(mm, base + 0x3ff8), 0);
    assert_int_equal(peek(mm, base + 0x7ff8), 0);
    assert_int_equal(mm_copy_in_partial(mm, buf, base + 0x2800, 1, false), 0);
    assert_true(mm_layout(mm)->start_brk >= base + 0x9000 ||
                mm_layout(mm)->start_brk > 0x500000000000);
    /* The vDSO is an ELF image. */
    assert_int_equal((uint32_t)peek(mm, aux(mm, LX_AT_SYSINFO_EHDR)), 0x464c457f);
}

static void test_good(void **state)
{
    struct lx_regs regs;
    struct mm *mm;

    (void)state;
    base_elf(LX_ET_EXEC, 0x400000);
    assert_int_equal(load(&mm, &regs), 0);
    check_image(mm, &regs, 0x400000);
    mm_put(mm);
    base_elf(LX_ET_DYN, 0);
    assert_int_equal(load(&mm, &regs), 0);
    check_image(mm, &regs, regs.rip - 0x200);
    mm_put(mm);
    /* A file of an odd first address, aligned to 2 MiB. */
    base_elf(LX_ET_DYN, 0x7000);
    phdr(0)->p_align = 2ul << 20;
    assert_int_equal(load(&mm, &regs), 0);
    mm_put(mm);
    assert_int_equal(refs_read(&g_file.refs), 1);
}

static void test_refused(void **state)
{
    (void)state;
#define REFUSED(expect, ...)                                                                       \
    do {                                                                                           \
        base_elf(LX_ET_EXEC, 0x400000);                                                            \
        __VA_ARGS__;                                                                               \
        assert_int_equal(try_load(), expect);                                                      \
    } while (0)
    REFUSED(-ENOEXEC, g_size = 0);
    REFUSED(-ENOEXEC, g_size = 40);
    REFUSED(-ENOEXEC, g_size = 100);
    REFUSED(-ENOEXEC, g_bytes[1] = 'X');
    REFUSED(-ENOEXEC, ehdr()->e_type = 1);
    REFUSED(-ENOEXEC, ehdr()->e_machine = 3);
    REFUSED(-ENOEXEC, ehdr()->e_phentsize = 32);
    REFUSED(-ENOEXEC, ehdr()->e_phnum = 0);
    REFUSED(-ENOEXEC, ehdr()->e_phnum = 2000);
    REFUSED(-ENOEXEC, ehdr()->e_phoff = UINT64_MAX - 8);
    REFUSED(-ENOEXEC, ehdr()->e_phoff = 1ul << 40);
    REFUSED(-ENOEXEC, phdr(2)->p_type = LX_PT_INTERP; phdr(2)->p_filesz = 1);
    REFUSED(-ENOEXEC, phdr(2)->p_type = LX_PT_INTERP; phdr(2)->p_filesz = 5000);
    REFUSED(-ENOEXEC, phdr(2)->p_type = LX_PT_INTERP; phdr(2)->p_filesz = 16;
            phdr(2)->p_offset = 4096 + 128);
    REFUSED(-EIO, phdr(2)->p_type = LX_PT_INTERP; phdr(2)->p_filesz = 16;
            phdr(2)->p_offset = g_size - 8);
    /* Past the point of no return. */
    REFUSED(-EFAULT, phdr(0)->p_type = 0; phdr(1)->p_type = 0);
    REFUSED(-EFAULT, phdr(1)->p_filesz = 0x6000);
    REFUSED(-EFAULT, phdr(1)->p_memsz = 1ul << 47);
    REFUSED(-EFAULT, phdr(1)->p_memsz = UINT64_MAX);
    REFUSED(-EFAULT, phdr(1)->p_vaddr = UINT64_MAX - 0xfff + 0x100);
    REFUSED(-EFAULT, phdr(1)->p_vaddr = 0x7fffffffff00; phdr(1)->p_offset = 0xf00);
    REFUSED(-EFAULT, phdr(1)->p_offset = 0x1180);
    REFUSED(-EFAULT, ehdr()->e_entry = 1ul << 50);
    /* Odd, but Linux runs these: overlap, no stack header, segment past the end of the file. */
    REFUSED(0, phdr(1)->p_vaddr = 0x401100);
    REFUSED(0, phdr(2)->p_type = 0);
    REFUSED(0, phdr(0)->p_align = 12345);
    REFUSED(0, phdr(1)->p_memsz = 0x800);
#undef REFUSED
}

static void test_damage(void **state)
{
    int round;

    (void)state;
    srand(3);
    for (round = 0; round < 20000; round++) {
        uint32_t i, k;

        base_elf(rand() % 2 ? LX_ET_EXEC : LX_ET_DYN, rand() % 2 ? 0x400000 : 0);
        for (k = 1 + (uint32_t)rand() % 6; k > 0; k--)
            g_bytes[16 + (uint32_t)rand() % (48 + 3 * 56)] =
                rand() % 3 ? (uint8_t)rand() : (uint8_t)(rand() % 2 ? 0xff : 0);
        if (rand() % 8 == 0)
            g_size = (size_t)rand() % sizeof(g_bytes);
        if (ehdr()->e_phnum > 8)
            ehdr()->e_phnum = 3;
        for (i = 0; i < ehdr()->e_phnum; i++) {
            if (phdr((int)i)->p_type == LX_PT_INTERP)
                phdr((int)i)->p_type = 0; /* needs a whole file system */
        }
        (void)!try_load();
        assert_int_equal(refs_read(&g_file.refs), 1);
    }
}

static int script(const char *text, struct exec_request *rq, char **name)
{
    char line[SCRIPT_LINE_SIZE] = {0};

    memcpy(line, text, strnlen(text, sizeof(line)));
    request(rq);
    return script_parse(line, rq, "script", name);
}

static void check_argv(const struct exec_request *rq, uint32_t count, const char *joined)
{
    char buf[600] = "";
    const char *p = rq->argv.data;
    uint32_t i;

    assert_int_equal(rq->argv.count, count);
    for (i = 0; i < count; i++) {
        strcat(buf, p);
        strcat(buf, "|");
        p += strlen(p) + 1;
    }
    assert_int_equal(p - rq->argv.data, rq->argv.size);
    assert_string_equal(buf, joined);
}

static void test_scripts(void **state)
{
    static const struct {
        const char *text;
        int ret;
        uint32_t argc;
        const char *argv;
    } cases[] = {
        {"#!/bin/sh\n", 1, 3, "/bin/sh|script|arg|"},
        {"#! \t/bin/sh  -e -x \t\necho", 1, 4, "/bin/sh|-e -x|script|arg|"},
        {"#!/bin/sh", 1, 3, "/bin/sh|script|arg|"},
        {"#!\n", -ENOEXEC, 0, ""},
        {"#!   \n", -ENOEXEC, 0, ""},
        {"#", 0, 0, ""},
        {"hello", 0, 0, ""},
    };
    char big[400], *name;
    struct exec_request rq;
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(script(cases[i].text, &rq, &name), cases[i].ret);
        if (cases[i].ret == 1) {
            check_argv(&rq, cases[i].argc, cases[i].argv);
            free(name);
        }
        request_free(&rq);
    }
    /* The name does not end within the buffer: refused; the argument may be cut. */
    memset(big, 'a', sizeof(big));
    memcpy(big, "#!/", 3);
    assert_int_equal(script(big, &rq, &name), -ENOEXEC);
    request_free(&rq);
    memcpy(big, "#!/b ", 5);
    assert_int_equal(script(big, &rq, &name), 1);
    assert_string_equal(name, "/b");
    free(name);
    request_free(&rq);
}

static void test_limits(void **state)
{
    struct exec_request rq;

    (void)state;
    request(&rq);
    assert_int_equal(args_check(&rq), 0);
    free(rq.argv.data);
    rq.argv.data = calloc(1, ARG_STRING_MAX + 1);
    memset(rq.argv.data, 'x', ARG_STRING_MAX);
    rq.argv.size = ARG_STRING_MAX + 1;
    rq.argv.count = 1;
    assert_int_equal(args_check(&rq), -E2BIG);
    rq.stack_limit = 64 << 10;
    assert_int_equal(args_check(&rq), -E2BIG);
    request_free(&rq);
    request(&rq);
    rq.argv.count = 0;
    assert_int_equal(args_default(&rq), 0);
    assert_int_equal(rq.argv.count, 1);
    assert_string_equal(rq.argv.data, "");
    request_free(&rq);
}

static void test_clocks(void **state)
{
    uint64_t a, b = 0, host, i;

    (void)state;
    assert_false(vdso_clock_read(2, &a));
    assert_false(vdso_clock_read(-1, &a));
    for (i = 0; i < 200000; i++) {
        assert_true(vdso_clock_read(1, &a));
        assert_true(a >= b);
        b = a;
    }
    host = clock_monotonic();
    assert_true(vdso_clock_read(1, &a));
    /* The test may lose the CPU between the two. */
    assert_true(a + 20000 > host && host + 1000000000 > a);
    host = clock_realtime();
    assert_true(vdso_clock_read(0, &a));
    assert_true(a + 20000 > host && host + 1000000000 > a);
}

static int setup(void **state)
{
    static struct platform *platform;

    (void)state;
    g_curr = &g_self;
    g_self.cred = cred_kernel();
    assert_int_equal(g_platform_fake_ops.start(NULL, &platform), 0);
    assert_int_equal(mm_subsystem_init(&g_platform_fake_ops, platform), 0);
    g_mm_file_ops = &g_test_file_ops;
    assert_int_equal(vdso_init(), 0);
    assert_int_equal(memfile_alloc(MEMFILE_TMPFS, FILE_PAGES, &g_pages), 0);
    g_inode.ops = &g_inode_ops;
    g_inode.super = &g_super;
    g_inode.attr.mode = 0100755;
    refs_init(&g_inode.refs);
    mappable_init(&g_inode.map, &g_mem_mappable);
    refs_init(&g_file.refs);
    g_file.ops = &g_mem_file;
    g_file.inode = &g_inode;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_clocks),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
