/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core file: ELF header, one PT_NOTE, one PT_LOAD per mapping; notes, then memory from the next
 * page on. Notes in Linux's order: the dumping thread's PRSTATUS, the process's notes, the rest of
 * that thread's registers, then the other threads. What of a mapping is kept follows the filter of
 * /proc/PID/coredump_filter; pages that were never touched become holes.
 *
 * The process is stopped but for the caller, yet other processes may share its memory: the map is
 * read once, and memory that went away since becomes a hole.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/elf.h"
#include "sentry/abi/mman.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/coredump.h"
#include "sentry/kernel/coredump_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/mm/iov_iter.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"

enum { PHNUM_MAX = 65534, NOTE_ALIGN = 4 };

/* ---- what is mapped ------------------------------------------------------------------------- */

struct core_map {
    struct mm_vma_info info; /* file: +1 */
    uint64_t dump_size;      /* bytes of it that go into the file */
};

struct core_maps {
    struct core_map *rows;
    size_t count, cap;
    bool oom;
};

static bool collect(void *arg, const struct mm_vma_info *info)
{
    struct core_maps *m = arg;
    struct core_map *rows;

    if (m->count == PHNUM_MAX)
        return false;
    if (m->count == m->cap) {
        rows = realloc(m->rows, (m->cap + 64) * 2 * sizeof(*rows));
        if (!rows) {
            m->oom = true;
            return false;
        }
        m->cap = (m->cap + 64) * 2;
        m->rows = rows;
    }
    m->rows[m->count] = (struct core_map){.info = *info};
    if (info->file)
        m->rows[m->count].info.file = file_get(info->file);
    m->count++;
    return true;
}

static void maps_destroy(struct core_maps *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->rows[i].info.file)
            file_put(m->rows[i].info.file);
    free(m->rows);
}

static bool starts_with_elf(struct mm *mm, const struct mm_vma_info *v)
{
    char magic[LX_ELFMAG_LEN];

    return v->file && v->offset == 0 && (v->prot & LX_PROT_READ) &&
           mm_copy_in_partial(mm, magic, v->start, sizeof(magic), /*force=*/true) ==
               sizeof(magic) &&
           memcmp(magic, LX_ELFMAG, sizeof(magic)) == 0;
}

static uint64_t size_to_dump(struct mm *mm, const struct mm_vma_info *v, uint32_t filter)
{
    uint64_t whole = v->end - v->start;

    if (v->name && strcmp(v->name, "[vdso]") == 0)
        return whole;
    if (v->dontdump)
        return 0;
    if (v->shared)
        return filter & (v->file ? CORE_MAPPED_SHARED : CORE_ANON_SHARED) ? whole : 0;
    if (v->anon && (filter & CORE_ANON_PRIVATE))
        return whole;
    if (!v->file)
        return 0;
    if (filter & CORE_MAPPED_PRIVATE)
        return whole;
    return (filter & CORE_ELF_HEADERS) && starts_with_elf(mm, v) ? LX_PAGE_SIZE : 0;
}

static int maps_init(struct core_maps *m, struct mm *mm, uint32_t filter)
{
    *m = (struct core_maps){0};
    mm_for_each_vma(mm, 0, collect, m);
    if (m->oom) {
        maps_destroy(m);
        return -ENOMEM;
    }
    for (size_t i = 0; i < m->count; i++)
        m->rows[i].dump_size = size_to_dump(mm, &m->rows[i].info, filter);
    return 0;
}

/* ---- notes ---------------------------------------------------------------------------------- */

struct notes {
    uint8_t *data; /* owned */
    size_t size, cap;
    bool oom;
};

static void put(struct notes *n, const void *data, size_t size)
{
    size_t padded = align_up(size, NOTE_ALIGN);
    uint8_t *fresh;

    if (n->oom)
        return;
    if (n->size + padded > n->cap) {
        size_t cap = (n->size + padded) * 2;

        fresh = realloc(n->data, cap);
        if (!fresh) {
            n->oom = true;
            return;
        }
        n->data = fresh;
        n->cap = cap;
    }
    memset(n->data + n->size, 0, padded);
    memcpy(n->data + n->size, data, size);
    n->size += padded;
}

static void put_note(struct notes *n, const char *name, uint32_t type, const void *desc,
                     size_t size)
{
    struct lx_elf_nhdr head = {(uint32_t)strlen(name) + 1, (uint32_t)size, type};

    put(n, &head, sizeof(head));
    put(n, name, head.namesz);
    put(n, desc, size);
}

static void put_psinfo(struct notes *n, struct task *t, struct mm *mm,
                       const struct lx_elf_prstatus *st)
{
    const struct mm_layout *l = mm_layout(mm);
    const struct cred *c = t->curr.cred;
    struct lx_elf_prpsinfo ps = {
        .sname = 'R',
        .nice = (char)t->k->nice,
        .flag = 0x00400000, /* PF_RANDOMIZE */
        .uid = userns_from_kuid(c->userns, c->ruid),
        .gid = userns_from_kgid(c->userns, c->rgid),
        .pid = pid_nr(t->curr.tgid),
        .ppid = st->ppid,
        .pgrp = st->pgrp,
        .sid = st->sid,
    };
    size_t size = MIN(l->arg_end - l->arg_start, sizeof(ps.psargs) - 1);

    memcpy(ps.fname, t->comm, sizeof(ps.fname));
    size = mm_copy_in_partial(mm, ps.psargs, l->arg_start, size, /*force=*/true);
    for (size_t i = 0; i < size; i++)
        if (ps.psargs[i] == '\0')
            ps.psargs[i] = ' ';
    put_note(n, "CORE", LX_NT_PRPSINFO, &ps, sizeof(ps));
}

/* NT_FILE: count, page size, {start, end, page offset} each, then the names. */
static void put_files(struct notes *n, const struct core_maps *m)
{
    struct notes words = {0}, names = {0};
    uint64_t head[2] = {0, LX_PAGE_SIZE};
    char *name;

    put(&words, head, sizeof(head));
    for (size_t i = 0; i < m->count; i++) {
        const struct mm_vma_info *v = &m->rows[i].info;
        uint64_t row[3] = {v->start, v->end, v->offset / LX_PAGE_SIZE};

        if (!v->file || vfs_d_path(&v->file->path, &name) < 0)
            continue;
        put(&words, row, sizeof(row));
        put(&names, name, strlen(name) + 1);
        /* Names follow each other without padding. */
        names.size -= align_up(strlen(name) + 1, NOTE_ALIGN) - (strlen(name) + 1);
        free(name);
        head[0]++;
    }
    if (!words.oom && !names.oom && head[0]) {
        memcpy(words.data, head, sizeof(head));
        put(&words, names.data, names.size);
        words.size -= align_up(names.size, NOTE_ALIGN) - names.size;
    }
    if (words.oom || names.oom)
        n->oom = true;
    else if (head[0])
        put_note(n, "CORE", LX_NT_FILE, words.data, words.size);
    free(words.data);
    free(names.data);
}

static void put_fpu(struct notes *n, const struct core_thread *th)
{
    uint8_t fx[LX_USER_FPREGS_SIZE];

    if (!th->xstate)
        return;
    memcpy(fx, th->xstate, sizeof(fx));
    memset(fx + LX_FX_SW_OFFSET, 0, sizeof(struct lx_fpx_sw_bytes));
    put_note(n, "CORE", LX_NT_PRFPREG, fx, sizeof(fx));
    put_note(n, "LINUX", LX_NT_X86_XSTATE, th->xstate, platform_xstate_size());
}

static void put_notes(struct notes *n, const struct core_dump *d, struct mm *mm,
                      const struct core_maps *m)
{
    const struct mm_layout *l = mm_layout(mm);
    struct core_thread *th;
    bool first = true;

    list_for_each_entry(th, &d->threads, node) {
        put_note(n, "CORE", LX_NT_PRSTATUS, &th->status, sizeof(th->status));
        if (first) {
            put_psinfo(n, d->dumper, mm, &th->status);
            put_note(n, "CORE", LX_NT_SIGINFO, &d->info, sizeof(d->info));
            put_note(n, "CORE", LX_NT_AUXV, l->auxv,
                     MIN(l->auxv_count, (uint32_t)ARRAY_COUNT(l->auxv)) * sizeof(l->auxv[0]));
            put_files(n, m);
        }
        first = false;
        put_fpu(n, th);
    }
}

/* ---- writing -------------------------------------------------------------------------------- */

struct writer {
    struct core_dump *dump;
    struct file *file;
    lx_loff_t pos;
    uint64_t written, limit;
    bool hole; /* the file ends before pos */
};

static int emit(struct writer *w, const void *data, size_t size)
{
    struct iov_iter it;

    if (atomic_load(&w->dump->aborted))
        return -EINTR;
    if (w->written + size > w->limit)
        return -EFBIG;
    /* SAFETY: the iterator is only read from. */
    iov_iter_init_kernel(&it, (void *)(uintptr_t)data, size);
    while (iov_iter_count(&it) > 0) {
        ssize_t ret = file_write_at(w->file, &it, &w->pos);

        if (ret <= 0)
            return ret < 0 ? (int)ret : -EIO;
    }
    w->written += size;
    w->hole = false;
    return 0;
}

static void skip(struct writer *w, uint64_t size)
{
    w->pos += (lx_loff_t)size;
    w->hole = w->hole || size > 0;
}

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, LX_PAGE_SIZE - 1) == 0;
}

static int emit_map(struct writer *w, struct mm *mm, const struct core_map *m)
{
    uint8_t page[LX_PAGE_SIZE];
    bool anon = !m->info.file && !m->info.shared;
    int ret = 0;

    for (uint64_t off = 0; off < m->dump_size && ret == 0; off += LX_PAGE_SIZE) {
        uaddr_t addr = m->info.start + off;

        if (atomic_load(&w->dump->aborted))
            return -EINTR;
        if ((anon && mm_page_state(mm, addr) != 1) ||
            mm_copy_in_partial(mm, page, addr, sizeof(page), /*force=*/true) != sizeof(page) ||
            is_zero(page))
            skip(w, sizeof(page));
        else
            ret = emit(w, page, sizeof(page));
    }
    return ret;
}

static int emit_headers(struct writer *w, const struct core_maps *m, uint64_t note_size)
{
    size_t count = m->count + 1;
    uint64_t offset = sizeof(struct lx_elf64_ehdr) + count * sizeof(struct lx_elf64_phdr);
    struct lx_elf64_ehdr eh = {
        .e_ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
        .e_type = LX_ET_CORE,
        .e_machine = LX_EM_X86_64,
        .e_version = 1,
        .e_phoff = sizeof(eh),
        .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(struct lx_elf64_phdr),
        .e_phnum = (uint16_t)count,
    };
    struct lx_elf64_phdr *ph = calloc(count, sizeof(*ph));
    int ret;

    if (!ph)
        return -ENOMEM;
    ph[0] = (struct lx_elf64_phdr){.p_type = LX_PT_NOTE, .p_offset = offset, .p_filesz = note_size};
    offset = align_up(offset + note_size, LX_PAGE_SIZE);
    for (size_t i = 0; i < m->count; i++) {
        const struct mm_vma_info *v = &m->rows[i].info;

        ph[i + 1] = (struct lx_elf64_phdr){
            .p_type = LX_PT_LOAD,
            .p_flags = (v->prot & LX_PROT_READ ? LX_PF_R : 0) |
                       (v->prot & LX_PROT_WRITE ? LX_PF_W : 0) |
                       (v->prot & LX_PROT_EXEC ? LX_PF_X : 0),
            .p_offset = offset,
            .p_vaddr = v->start,
            .p_filesz = m->rows[i].dump_size,
            .p_memsz = v->end - v->start,
            .p_align = LX_PAGE_SIZE,
        };
        offset += m->rows[i].dump_size;
    }
    ret = emit(w, &eh, sizeof(eh));
    if (ret == 0)
        ret = emit(w, ph, count * sizeof(*ph));
    free(ph);
    return ret;
}

static int emit_all(struct writer *w, struct mm *mm, const struct core_maps *m,
                    const struct notes *n)
{
    static const char zero;
    int ret = emit_headers(w, m, n->size);

    if (ret == 0)
        ret = emit(w, n->data, n->size);
    skip(w, align_up((uint64_t)w->pos, LX_PAGE_SIZE) - (uint64_t)w->pos);
    for (size_t i = 0; i < m->count && ret == 0; i++)
        ret = emit_map(w, mm, &m->rows[i]);
    if (ret == 0 && w->hole) {
        w->pos--;
        ret = emit(w, &zero, 1);
    }
    return ret;
}

int core_write(struct core_dump *d, struct mm *mm, struct file *f, uint64_t limit, uint32_t filter)
{
    struct writer w = {.dump = d, .file = f, .limit = limit};
    struct notes n = {0};
    struct core_maps m;
    int ret = maps_init(&m, mm, filter);

    if (ret < 0)
        return ret;
    put_notes(&n, d, mm, &m);
    ret = n.oom ? -ENOMEM : emit_all(&w, mm, &m, &n);
    free(n.data);
    maps_destroy(&m);
    /* Linux: a file that the limit cut short still counts as a dump. */
    return ret == -EFBIG ? 0 : ret;
}
