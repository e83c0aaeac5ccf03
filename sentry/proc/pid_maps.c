/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID/{maps,smaps,smaps_rollup,numa_maps}. mm calls back with its lock held, where no name of
 * a file can be worked out (dcache, blocking); so the walk first collects rows with pinned files,
 * then prints them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/mm.h"
#include "sentry/proc/proc_internal.h"

struct map_row {
    struct mm_vma_info info; /* info.file is +1 here */
};

struct map_walk {
    struct map_row *rows; /* owned */
    size_t count, cap;
    bool oom;
};

static bool collect(void *arg, const struct mm_vma_info *info)
{
    struct map_walk *w = arg;
    struct map_row *rows;

    if (w->count == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        rows = realloc(w->rows, w->cap * sizeof(*rows));
        if (!rows) {
            w->oom = true;
            return false;
        }
        w->rows = rows;
    }
    w->rows[w->count].info = *info;
    if (info->file)
        w->rows[w->count].info.file = file_get(info->file);
    w->count++;
    return true;
}

static void walk_destroy(struct map_walk *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->rows[i].info.file)
            file_put(w->rows[i].info.file);
    }
    free(w->rows);
}

static int walk_init(struct pseudo_node *n, struct map_walk *w, struct mm_layout *out_layout)
{
    struct task *t;
    struct mm *mm;
    int ret = proc_task_get(n, &t);

    *w = (struct map_walk){0};
    if (ret < 0)
        return ret;
    mm = task_mm_get(t);
    task_put(t);
    if (!mm)
        return 0;
    *out_layout = *mm_layout(mm);
    mm_for_each_vma(mm, 0, collect, w);
    mm_put(mm);
    if (w->oom) {
        walk_destroy(w);
        return -ENOMEM;
    }
    return 0;
}

static const char *row_label(const struct mm_vma_info *i, const struct mm_layout *l)
{
    if (i->name)
        return i->name;
    if (i->file)
        return NULL;
    if (l->start_stack >= i->start && l->start_stack < i->end)
        return "[stack]";
    if (l->start_brk < i->end && i->start <= l->start_brk && i->end > l->start_brk)
        return "[heap]";
    return NULL;
}

static void put_row(struct pbuf *b, const struct mm_vma_info *i, const struct mm_layout *l)
{
    size_t line = b->size;
    lx_dev_t dev = i->file ? i->file->inode->attr.dev : 0;
    const char *label = row_label(i, l);
    char *name;

    pbuf_printf(b, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu", (unsigned long long)i->start,
                (unsigned long long)i->end, i->prot & 1 ? 'r' : '-', i->prot & 2 ? 'w' : '-',
                i->prot & 4 ? 'x' : '-', i->shared ? 's' : 'p',
                (unsigned long long)(i->file ? i->offset : 0), (uint32_t)(dev >> 20),
                (uint32_t)(dev & 0xfffff),
                (unsigned long long)(i->file ? i->file->inode->attr.ino : 0));
    if (i->file && !i->name) {
        if (vfs_d_path(&i->file->path, &name) == 0) {
            pbuf_pad(b, line, 72);
            pbuf_escape(b, name, "\n");
            free(name);
        }
    } else if (label) {
        pbuf_pad(b, line, 72);
        pbuf_puts(b, label);
    } else {
        /* Linux: a line without a name still ends with a blank. */
        pbuf_putc(b, ' ');
    }
    pbuf_putc(b, '\n');
}

int proc_show_maps(struct pseudo_node *n, struct pbuf *b)
{
    struct mm_layout layout = {0};
    struct map_walk w;
    int ret = walk_init(n, &w, &layout);

    if (ret < 0)
        return ret;
    for (size_t i = 0; i < w.count; i++)
        put_row(b, &w.rows[i].info, &layout);
    walk_destroy(&w);
    return 0;
}

/* ---- smaps ----------------------------------------------------------------------------------- */

struct smaps_sum {
    uint64_t size, rss, anon, file_clean, shared_dirty, locked;
};

static void sum_add(struct smaps_sum *s, const struct mm_vma_info *i)
{
    uint64_t file = i->rss > i->anon ? i->rss - i->anon : 0;

    s->size += i->end - i->start;
    s->rss += i->rss;
    s->anon += i->anon;
    s->file_clean += file;
    if (i->locked)
        s->locked += i->rss;
}

static void put_sum(struct pbuf *b, const struct smaps_sum *s, bool rollup)
{
    const struct {
        const char *name;
        uint64_t bytes;
        bool rollup_only;
    } rows[] = {
        {"Rss:", s->rss, false},
        {"Pss:", s->rss, false},
        {"Pss_Dirty:", s->anon, false},
        {"Pss_Anon:", s->anon, true},
        {"Pss_File:", s->file_clean, true},
        {"Pss_Shmem:", 0, true},
        {"Shared_Clean:", 0, false},
        {"Shared_Dirty:", 0, false},
        {"Private_Clean:", s->file_clean, false},
        {"Private_Dirty:", s->anon, false},
        {"Referenced:", s->rss, false},
        {"Anonymous:", s->anon, false},
        {"LazyFree:", 0, false},
        {"AnonHugePages:", 0, false},
        {"ShmemPmdMapped:", 0, false},
        {"FilePmdMapped:", 0, false},
        {"Shared_Hugetlb:", 0, false},
        {"Private_Hugetlb:", 0, false},
        {"Swap:", 0, false},
        {"SwapPss:", 0, false},
        {"Locked:", s->locked, false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!rows[i].rollup_only || rollup)
            pbuf_printf(b, "%-15s %8llu kB\n", rows[i].name,
                        (unsigned long long)(rows[i].bytes / 1024));
    }
}

static void put_vm_flags(struct pbuf *b, const struct mm_vma_info *i)
{
    pbuf_puts(b, "VmFlags: ");
    pbuf_puts(b, i->prot & 1 ? "rd " : "");
    pbuf_puts(b, i->prot & 2 ? "wr " : "");
    pbuf_puts(b, i->prot & 4 ? "ex " : "");
    pbuf_puts(b, i->shared ? "sh " : "");
    pbuf_puts(b, "mr mw me ");
    pbuf_puts(b, i->grows_down ? "gd " : "");
    pbuf_puts(b, i->locked ? "lo " : "");
    pbuf_puts(b, "\n");
}

int proc_show_smaps(struct pseudo_node *n, struct pbuf *b)
{
    struct mm_layout layout = {0};
    struct map_walk w;
    int ret = walk_init(n, &w, &layout);

    if (ret < 0)
        return ret;
    for (size_t i = 0; i < w.count; i++) {
        const struct mm_vma_info *info = &w.rows[i].info;
        struct smaps_sum sum = {0};

        put_row(b, info, &layout);
        sum_add(&sum, info);
        pbuf_printf(b, "%-15s %8llu kB\n", "Size:", (unsigned long long)(sum.size / 1024));
        pbuf_printf(b, "%-15s %8u kB\n", "KernelPageSize:", 4u);
        pbuf_printf(b, "%-15s %8u kB\n", "MMUPageSize:", 4u);
        put_sum(b, &sum, /*rollup=*/false);
        pbuf_puts(b, "THPeligible:    0\n");
        put_vm_flags(b, info);
    }
    walk_destroy(&w);
    return 0;
}

int proc_show_smaps_rollup(struct pseudo_node *n, struct pbuf *b)
{
    struct mm_layout layout = {0};
    struct smaps_sum sum = {0};
    struct map_walk w;
    int ret = walk_init(n, &w, &layout);
    size_t line;

    if (ret < 0)
        return ret;
    if (w.count == 0) {
        walk_destroy(&w);
        return -ESRCH;
    }
    for (size_t i = 0; i < w.count; i++)
        sum_add(&sum, &w.rows[i].info);
    line = b->size;
    pbuf_printf(b, "%08llx-%08llx ---p 00000000 00:00 0", (unsigned long long)w.rows[0].info.start,
                (unsigned long long)w.rows[w.count - 1].info.end);
    pbuf_pad(b, line, 72);
    pbuf_puts(b, "[rollup]\n");
    put_sum(b, &sum, /*rollup=*/true);
    walk_destroy(&w);
    return 0;
}

int proc_show_numa_maps(struct pseudo_node *n, struct pbuf *b)
{
    struct mm_layout layout = {0};
    struct map_walk w;
    int ret = walk_init(n, &w, &layout);

    if (ret < 0)
        return ret;
    for (size_t i = 0; i < w.count; i++) {
        const struct mm_vma_info *info = &w.rows[i].info;
        const char *label = row_label(info, &layout);
        char *name;

        pbuf_printf(b, "%08llx default", (unsigned long long)info->start);
        if (info->file && !info->name && vfs_d_path(&info->file->path, &name) == 0) {
            pbuf_puts(b, " file=");
            pbuf_escape(b, name, "\n\t= ");
            free(name);
        } else if (label && strcmp(label, "[heap]") == 0) {
            pbuf_puts(b, " heap");
        } else if (label && strcmp(label, "[stack]") == 0) {
            pbuf_puts(b, " stack");
        }
        if (info->anon)
            pbuf_printf(b, " anon=%llu dirty=%llu", (unsigned long long)(info->anon / LX_PAGE_SIZE),
                        (unsigned long long)(info->anon / LX_PAGE_SIZE));
        if (info->rss)
            pbuf_printf(b, " N0=%llu kernelpagesize_kB=4",
                        (unsigned long long)(info->rss / LX_PAGE_SIZE));
        pbuf_putc(b, '\n');
    }
    walk_destroy(&w);
    return 0;
}
