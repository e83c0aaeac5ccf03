// SPDX-License-Identifier: Apache-2.0
/*
 * ELF files: reading and checking headers, and mapping segments. What Linux's binfmt_elf accepts is
 * accepted, with the same errno for what it does not; every number in the file is hostile, so all
 * arithmetic on it is checked or bounded before use.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/mman.h"
#include "sentry/fs/vfs.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/mm/uaccess.h"

#define PHDRS_SIZE_MAX 65536u

static int read_exact(struct file *f, void *buf, size_t size, uint64_t off, int short_errno)
{
    ssize_t n;

    if (off > INT64_MAX)
        return -EINVAL;
    n = file_read_kernel(f, buf, size, (lx_loff_t)off);
    if (n < 0)
        return (int)n;
    return (size_t)n == size ? 0 : short_errno;
}

static bool mappable_file(struct file *f)
{
    struct mappable *m = g_mm_file_ops ? g_mm_file_ops->mappable(f) : NULL;

    return m && m->ops;
}

int elf_read(struct file *f, int not_elf, struct elf_file *out)
{
    struct lx_elf64_ehdr *h = &out->ehdr;
    size_t size;
    int ret;

    memset(out, 0, sizeof(*out));
    /* A program shorter than its header is just no ELF file; an interpreter is an I/O error. */
    ret = read_exact(f, h, sizeof(*h), 0, not_elf == -ENOEXEC ? -ENOEXEC : -EIO);
    if (ret < 0)
        return ret;
    if (memcmp(h->e_ident, LX_ELFMAG, LX_ELFMAG_LEN) != 0)
        return not_elf;
    if ((h->e_type != LX_ET_EXEC && h->e_type != LX_ET_DYN) || h->e_machine != LX_EM_X86_64)
        return not_elf;
    if (!mappable_file(f))
        return not_elf;
    if (h->e_phentsize != sizeof(struct lx_elf64_phdr) || h->e_phnum == 0)
        return not_elf;
    size = (size_t)h->e_phnum * sizeof(struct lx_elf64_phdr);
    if (size > PHDRS_SIZE_MAX)
        return not_elf;
    out->phdrs = malloc(size);
    if (!out->phdrs)
        return -ENOMEM;
    ret = read_exact(f, out->phdrs, size, h->e_phoff, not_elf);
    if (ret < 0) {
        free(out->phdrs);
        out->phdrs = NULL;
        return not_elf;
    }
    out->file = file_get(f);
    return 0;
}

void elf_release(struct elf_file *e)
{
    if (e->file)
        file_put(e->file);
    free(e->phdrs);
    memset(e, 0, sizeof(*e));
}

int elf_interp_name(const struct elf_file *e, char **out)
{
    uint32_t i;

    *out = NULL;
    for (i = 0; i < e->ehdr.e_phnum; i++) {
        const struct lx_elf64_phdr *p = &e->phdrs[i];
        char *name;
        int ret;

        if (p->p_type != LX_PT_INTERP)
            continue;
        if (p->p_filesz > LX_PATH_MAX || p->p_filesz < 2)
            return -ENOEXEC;
        name = malloc(p->p_filesz);
        if (!name)
            return -ENOMEM;
        ret = read_exact(e->file, name, p->p_filesz, p->p_offset, -EIO);
        if (ret == 0 && name[p->p_filesz - 1] != '\0')
            ret = -ENOEXEC;
        if (ret < 0) {
            free(name);
            return ret;
        }
        *out = name;
        return 0;
    }
    return 0;
}

uint64_t elf_mapping_size(const struct elf_file *e)
{
    uint64_t low = UINT64_MAX, high = 0;
    uint32_t i;

    for (i = 0; i < e->ehdr.e_phnum; i++) {
        const struct lx_elf64_phdr *p = &e->phdrs[i];
        uint64_t end;

        if (p->p_type != LX_PT_LOAD)
            continue;
        if (add_overflows(p->p_vaddr, p->p_memsz, &end))
            return 0;
        low = MIN(low, align_down(p->p_vaddr, LX_PAGE_SIZE));
        high = MAX(high, end);
    }
    if (high <= low || high > LX_TASK_SIZE)
        return 0;
    return align_up(high - low, LX_PAGE_SIZE);
}

uint64_t elf_alignment(const struct elf_file *e)
{
    uint64_t best = 0;
    uint32_t i;

    for (i = 0; i < e->ehdr.e_phnum; i++) {
        uint64_t a = e->phdrs[i].p_align;

        /* Powers of two only, as Linux: anything else is ignored. */
        if (e->phdrs[i].p_type == LX_PT_LOAD && a != 0 && (a & (a - 1)) == 0)
            best = MAX(best, a);
    }
    return best > LX_PAGE_SIZE ? best : 0;
}

/* ---- mapping ----------------------------------------------------------------------------- */

static uint32_t prot_of(uint32_t p_flags)
{
    return (p_flags & LX_PF_R ? LX_PROT_READ : 0) | (p_flags & LX_PF_W ? LX_PROT_WRITE : 0) |
           (p_flags & LX_PF_X ? LX_PROT_EXEC : 0);
}

/* Anonymous memory for [start, end), page aligned inside. */
static int map_bss(struct mm *mm, uaddr_t start, uaddr_t end, uint32_t prot)
{
    struct mmap_args a = {.flags = LX_MAP_PRIVATE | LX_MAP_ANONYMOUS | LX_MAP_FIXED};
    int64_t ret;

    start = align_up(start, LX_PAGE_SIZE);
    end = align_up(end, LX_PAGE_SIZE);
    if (end <= start)
        return 0;
    a.addr = start;
    a.size = end - start;
    /* Linux: bss is readable and writable whatever the segment says. */
    a.prot = LX_PROT_READ | LX_PROT_WRITE | (prot & LX_PROT_EXEC);
    ret = mm_mmap(mm, &a);
    return ret < 0 ? (int)ret : 0;
}

/* Zeroes from addr to the end of its page. */
static int zero_tail(struct mm *mm, uaddr_t addr)
{
    static const char zeroes[LX_PAGE_SIZE];
    size_t n = (LX_PAGE_SIZE - (addr & ~LX_PAGE_MASK)) & ~LX_PAGE_MASK;

    return mm_copy_out_partial(mm, addr, zeroes, n, /*force=*/false) == n ? 0 : -EFAULT;
}

static int map_segment(const struct elf_file *e, const struct lx_elf64_phdr *p, struct mm *mm,
                       uaddr_t bias, bool first)
{
    uint64_t in_page = p->p_vaddr & ~LX_PAGE_MASK;
    uaddr_t start = bias + p->p_vaddr, file_end = start + p->p_filesz;
    struct mmap_args a = {
        .addr = start - in_page,
        .size = align_up(p->p_filesz + in_page, LX_PAGE_SIZE),
        .prot = prot_of(p->p_flags),
        .flags = LX_MAP_PRIVATE,
        .file = e->file,
        .offset = p->p_offset - in_page,
        .max_prot = LX_PROT_READ | LX_PROT_EXEC,
    };
    int64_t ret;

    if (p->p_offset < in_page || (a.offset & ~LX_PAGE_MASK))
        return -EINVAL;
    a.flags |= e->ehdr.e_type == LX_ET_EXEC && first ? LX_MAP_FIXED_NOREPLACE : LX_MAP_FIXED;
    if (a.size > 0) {
        ret = mm_mmap(mm, &a);
        if (ret < 0)
            return (int)ret;
    }
    if (p->p_memsz <= p->p_filesz)
        return 0;
    ret = map_bss(mm, file_end, start + p->p_memsz, a.prot);
    if (ret < 0)
        return (int)ret;
    if (a.size == 0 || !(file_end & ~LX_PAGE_MASK))
        return 0;
    /* Linux: a tail that cannot be zeroed is an error only where the segment is writable. */
    ret = zero_tail(mm, file_end);
    return ret < 0 && (p->p_flags & LX_PF_W) ? (int)ret : 0;
}

static void note_segment(const struct lx_elf64_phdr *p, const struct lx_elf64_ehdr *h, uaddr_t bias,
                         struct elf_placed *out)
{
    uaddr_t start = bias + p->p_vaddr, file_end = start + p->p_filesz;

    if (h->e_phoff >= p->p_offset && h->e_phoff - p->p_offset < p->p_filesz)
        out->phdr = start + (h->e_phoff - p->p_offset);
    if ((p->p_flags & LX_PF_X) && start < out->start_code)
        out->start_code = start;
    out->start_data = MAX(out->start_data, start);
    if (p->p_flags & LX_PF_X)
        out->end_code = MAX(out->end_code, file_end);
    out->end_data = MAX(out->end_data, file_end);
    out->brk = MAX(out->brk, start + p->p_memsz);
}

static int64_t reserve(const struct elf_file *e, struct mm *mm, uaddr_t base, uint64_t size)
{
    struct mmap_args a = {
        .size = size,
        .addr = base,
        .flags = LX_MAP_PRIVATE | LX_MAP_ANONYMOUS | LX_MAP_NORESERVE,
    };
    uint64_t align = elf_alignment(e);
    int64_t at;

    if (base)
        a.flags |= LX_MAP_FIXED_NOREPLACE;
    else if (align && add_overflows(size, align, &a.size))
        return -ENOMEM;
    at = mm_mmap(mm, &a);
    if (at < 0 || base || !align)
        return at;
    /* Too much was reserved, to find an aligned place in it: give the rest back. */
    base = align_up((uaddr_t)at, align);
    if (base > (uaddr_t)at && mm_munmap(mm, (uaddr_t)at, base - (uaddr_t)at) < 0)
        return -ENOMEM;
    if (base + size < (uaddr_t)at + a.size &&
        mm_munmap(mm, base + size, (uaddr_t)at + a.size - (base + size)) < 0)
        return -ENOMEM;
    return (int64_t)base;
}

/* After the segments lie in place, what was reserved between them goes. */
static int unreserve_holes(const struct elf_file *e, struct mm *mm, uaddr_t bias, uaddr_t start,
                           uint64_t size)
{
    uaddr_t at = start;

    while (at < start + size) {
        uaddr_t next = start + size, covered = at;
        uint32_t i;

        for (i = 0; i < e->ehdr.e_phnum; i++) {
            const struct lx_elf64_phdr *p = &e->phdrs[i];
            uaddr_t lo = align_down(bias + p->p_vaddr, LX_PAGE_SIZE);
            uaddr_t hi = align_up(bias + p->p_vaddr + p->p_memsz, LX_PAGE_SIZE);

            if (p->p_type != LX_PT_LOAD || hi <= lo)
                continue;
            if (lo <= at && hi > covered)
                covered = hi;
            if (lo > at && lo < next)
                next = lo;
        }
        if (covered == at) {
            int ret = mm_munmap(mm, at, next - at);

            if (ret < 0)
                return ret;
            covered = next;
        }
        at = covered;
    }
    return 0;
}

/* Linux: sizes of a segment that could not be mapped anywhere. */
static bool segment_sane(const struct lx_elf64_phdr *p, uaddr_t bias)
{
    uaddr_t start = bias + p->p_vaddr;

    return start < LX_TASK_SIZE && p->p_filesz <= p->p_memsz && p->p_memsz <= LX_TASK_SIZE &&
           LX_TASK_SIZE - p->p_memsz >= start;
}

int elf_map(const struct elf_file *e, struct mm *mm, uaddr_t base, struct elf_placed *out)
{
    uint64_t size = elf_mapping_size(e);
    uaddr_t low = 0;
    bool first = true;
    int64_t at;
    uint32_t i;
    int ret;

    memset(out, 0, sizeof(*out));
    out->start_code = UINT64_MAX;
    if (size == 0)
        return -EINVAL;
    if (e->ehdr.e_type == LX_ET_DYN) {
        for (i = 0, low = UINT64_MAX; i < e->ehdr.e_phnum; i++) {
            if (e->phdrs[i].p_type == LX_PT_LOAD)
                low = MIN(low, align_down(e->phdrs[i].p_vaddr, LX_PAGE_SIZE));
        }
        at = reserve(e, mm, base, size);
        if (at < 0)
            return (int)at;
        out->bias = (uaddr_t)at - low;
    }
    for (i = 0; i < e->ehdr.e_phnum; i++) {
        const struct lx_elf64_phdr *p = &e->phdrs[i];

        if (p->p_type != LX_PT_LOAD)
            continue;
        if (!segment_sane(p, out->bias))
            return -EINVAL;
        ret = map_segment(e, p, mm, out->bias, first);
        if (ret < 0)
            return ret;
        note_segment(p, &e->ehdr, out->bias, out);
        first = false;
    }
    if (e->ehdr.e_type == LX_ET_DYN)
        return unreserve_holes(e, mm, out->bias, out->bias + low, size);
    return 0;
}
