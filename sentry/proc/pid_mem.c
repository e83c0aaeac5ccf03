/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of /proc/PID that show bytes of its address space: cmdline, environ, auxv, mem,
 * pagemap. mem and pagemap pin the address space at open, so an exec afterwards does not redirect
 * them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"
#include "sentry/proc/proc_internal.h"

#define AREA_MAX (8u << 20)

/* +1 in *out, NULL for tasks without one. */
static int node_mm(struct pseudo_node *n, struct mm **out)
{
    struct task *t;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    *out = task_mm_get(t);
    task_put(t);
    return 0;
}

static void put_area(struct pbuf *b, struct mm *mm, uaddr_t start, uaddr_t end)
{
    char page[4096];
    uint64_t left = end > start ? MIN(end - start, AREA_MAX) : 0;

    while (left > 0) {
        size_t want = MIN(left, sizeof(page));
        size_t got = mm_copy_in_partial(mm, page, start, want, /*force=*/true);

        pbuf_put(b, page, got);
        if (got < want)
            return;
        start += got;
        left -= got;
    }
}

int proc_show_cmdline(struct pseudo_node *n, struct pbuf *b)
{
    struct mm *mm;
    struct mm_layout l;
    size_t size;
    char last;
    int ret = node_mm(n, &mm);

    if (ret < 0)
        return ret;
    if (!mm)
        return 0;
    l = *mm_layout(mm);
    /* Linux: a program that overwrote the NUL at the end of its arguments set a title; the title
     * may run on into the environment and ends at its own NUL. */
    if (l.arg_end > l.arg_start &&
        mm_copy_in_partial(mm, &last, l.arg_end - 1, 1, /*force=*/true) == 1 && last != '\0') {
        put_area(b, mm, l.arg_start,
                 l.env_start == l.arg_end ? MIN(l.env_end, l.arg_start + AREA_MAX) : l.arg_end);
        if (b->data) {
            size = strnlen(b->data, b->size);
            b->size = size < b->size ? size + 1 : size;
        }
    } else {
        put_area(b, mm, l.arg_start, l.arg_end);
    }
    mm_put(mm);
    return 0;
}

int proc_show_environ(struct pseudo_node *n, struct pbuf *b)
{
    struct mm *mm;
    int ret = node_mm(n, &mm);

    if (ret < 0)
        return ret;
    if (!mm)
        return 0;
    put_area(b, mm, mm_layout(mm)->env_start, mm_layout(mm)->env_end);
    mm_put(mm);
    return 0;
}

int proc_show_auxv(struct pseudo_node *n, struct pbuf *b)
{
    struct mm *mm;
    struct mm_layout *l;
    int ret = node_mm(n, &mm);

    if (ret < 0)
        return ret;
    if (!mm)
        return 0;
    l = mm_layout(mm);
    pbuf_put(b, l->auxv, MIN(l->auxv_count, (uint32_t)ARRAY_COUNT(l->auxv)) * sizeof(uint64_t));
    mm_put(mm);
    return 0;
}

/* ---- mem and pagemap ------------------------------------------------------------------------- */

struct mm_file {
    struct file file;
    struct mm *mm; /* I, +1 or NULL */
};

static struct mm_file *mm_file_of(struct file *f)
{
    return container_of(f, struct mm_file, file);
}

static ssize_t mem_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct mm *mm = mm_file_of(f)->mm;
    char page[4096];
    ssize_t done = 0;

    if (!mm)
        return 0;
    while (iov_iter_count(dst) > 0) {
        size_t want = MIN(iov_iter_count(dst), sizeof(page)), got, put;

        got = mm_copy_in_partial(mm, page, (uaddr_t)*pos, want, /*force=*/true);
        if (got == 0)
            return done ? done : -EIO;
        put = copy_to_iter(dst, page, got);
        *pos += (lx_loff_t)put;
        done += (ssize_t)put;
        if (put < got)
            return done ? done : -EFAULT;
    }
    return done;
}

static ssize_t mem_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    struct mm *mm = mm_file_of(f)->mm;
    char page[4096];
    ssize_t done = 0;

    if (!mm)
        return 0;
    while (iov_iter_count(src) > 0) {
        size_t want = MIN(iov_iter_count(src), sizeof(page));
        size_t got = copy_from_iter(src, page, want), put;

        if (got == 0)
            return done ? done : -EFAULT;
        put = mm_copy_out_partial(mm, (uaddr_t)*pos, page, got, /*force=*/true);
        if (put == 0)
            return done ? done : -EIO;
        *pos += (lx_loff_t)put;
        done += (ssize_t)put;
        if (put < want)
            return done;
    }
    return done;
}

struct pagemap_walk {
    uint64_t *entries;
    uaddr_t start, end;
};

/* DEVIATION: presence is told per vma (the part of it that is resident is not known page by page);
 * frame numbers read as 0, as for an unprivileged reader on Linux. */
static bool pagemap_fill(void *arg, const struct mm_vma_info *i)
{
    struct pagemap_walk *w = arg;
    uaddr_t from = MAX(i->start, w->start), to = MIN(i->end, w->end);

    if (i->start >= w->end)
        return false;
    for (; from < to && i->rss; from += LX_PAGE_SIZE)
        w->entries[(from - w->start) / LX_PAGE_SIZE] =
            1ull << 63 | (i->file || i->shared ? 1ull << 61 : 0) | 1ull << 55;
    return true;
}

static ssize_t pagemap_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    struct mm *mm = mm_file_of(f)->mm;
    uint64_t entries[512] = {0};
    struct pagemap_walk w = {.entries = entries};
    uint64_t first, count;
    size_t put;

    if (!mm)
        return 0;
    if (*pos % 8 || iov_iter_count(dst) % 8)
        return -EINVAL;
    first = (uint64_t)*pos / 8;
    if (first >= LX_TASK_SIZE / LX_PAGE_SIZE)
        return 0;
    count = MIN(iov_iter_count(dst) / 8, ARRAY_COUNT(entries));
    count = MIN(count, LX_TASK_SIZE / LX_PAGE_SIZE - first);
    w.start = first * LX_PAGE_SIZE;
    w.end = w.start + count * LX_PAGE_SIZE;
    mm_for_each_vma(mm, w.start, pagemap_fill, &w);
    put = copy_to_iter(dst, entries, count * 8);
    if (put == 0 && count)
        return -EFAULT;
    *pos += (lx_loff_t)put;
    return (ssize_t)put;
}

static void mm_file_release(struct file *f)
{
    struct mm_file *mf = mm_file_of(f);

    if (mf->mm)
        mm_put(mf->mm);
    file_destroy_generic(f);
    free(mf);
}

/* Linux: /proc/PID/mem seeks anywhere, also to addresses that are negative as an off_t. */
static lx_loff_t mem_seek(struct file *f, lx_loff_t off, int whence)
{
    if (whence == 1)
        off = (lx_loff_t)((uint64_t)off + (uint64_t)f->pos);
    else if (whence != 0)
        return -EINVAL;
    f->pos = off;
    return off;
}

static const struct file_ops mem_ops = {
    .read = mem_read,
    .write = mem_write,
    .seek = mem_seek,
    .release = mm_file_release,
};

static const struct file_ops pagemap_ops = {
    .read = pagemap_read,
    .seek = mem_seek,
    .release = mm_file_release,
};

static int mm_file_open(struct pseudo_node *n, uint32_t flags, uint32_t ptrace_mode,
                        const struct file_ops *ops, struct file **out)
{
    struct mm_file *mf;
    struct task *t;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    ret = task_ptrace_may_access(t, ptrace_mode | LX_PTRACE_MODE_FSCREDS);
    if (ret < 0) {
        task_put(t);
        return -EACCES;
    }
    mf = calloc(1, sizeof(*mf));
    if (mf) {
        mf->mm = task_mm_get(t);
        file_init(&mf->file, ops, flags);
        mf->file.kind |= FILE_SEEKABLE;
        *out = &mf->file;
    }
    task_put(t);
    return mf ? 0 : -ENOMEM;
}

int proc_open_mem(struct pseudo_node *n, uint32_t flags, struct file **out)
{
    return mm_file_open(n, flags, LX_PTRACE_MODE_ATTACH, &mem_ops, out);
}

int proc_open_pagemap(struct pseudo_node *n, uint32_t flags, struct file **out)
{
    return mm_file_open(n, flags, LX_PTRACE_MODE_READ, &pagemap_ops, out);
}
