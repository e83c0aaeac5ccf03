/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular files: their bytes are read, written and mapped through a descriptor that the gofer
 * donated, without asking it again. One descriptor per inode is kept, read-only until somebody
 * writes; open files hold it (or the one before) by reference. Least recently used ones that nobody
 * has open are given back when too many are kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/host/file.h"
#include "sentry/core/curr.h"
#include "sentry/fs/gofer/gofer_internal.h"

/* Bytes that one host call moves: the copy to the guest stays in the CPU's cache, and malloc has the
 * buffer without a mapping, whose pages the host would clear each time. */
#define BOUNCE_MAX   (64u << 10)
#define BOUNCE_STACK 4096u

/* Files that are read again and again are read from a mapping of the sentry's: no host call, one
 * copy less. Making the mapping costs as much as a few reads, so the first ones go without. */
#define WINDOW_AFTER 16u
/* From this size on the mapping may take the place of another file's. */
#define WINDOW_EVICTS (64u << 10)

struct gofer_file {
    struct file file;
    struct hostmem *data; /* I, +1 */
};

/* ---- the kept descriptor --------------------------------------------------------------------- */

static struct hostmem *detach_locked(struct gofer_super *gs, struct gofer_inode *gi)
    REQUIRES(gs->lock)
{
    struct hostmem *h = gi->data;

    gi->data = NULL;
    if (h) {
        list_del(&gi->data_link);
        gs->data_count--;
    }
    return h;
}

void gi_data_drop(struct gofer_inode *gi)
{
    struct gofer_super *gs = gi->gs;
    struct hostmem *h;

    mutex_lock(&gs->lock);
    h = detach_locked(gs, gi);
    mutex_unlock(&gs->lock);
    if (h)
        hostmem_put(h);
}

/* A regular file? The gofer is not trusted with what it donates. */
static bool fd_is_regular(int fd)
{
    struct stat st;

    return host_fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Makes h (owned) the kept one, and evicts another inode's when there are too many. */
static void keep_take(struct gofer_inode *gi, struct hostmem *h)
{
    struct gofer_super *gs = gi->gs;
    struct hostmem *old, *evicted = NULL;

    mutex_lock(&gs->lock);
    if (gi->data && hostmem_writable(gi->data) && !hostmem_writable(h)) {
        old = h;
    } else {
        old = detach_locked(gs, gi);
        gi->data = h;
        list_add(&gs->data, &gi->data_link);
        gs->data_count++;
        if (gs->data_count > gs->data_limit)
            evicted = detach_locked(gs, list_last_entry(&gs->data, struct gofer_inode, data_link));
    }
    mutex_unlock(&gs->lock);
    if (old)
        hostmem_put(old);
    if (evicted)
        hostmem_put(evicted);
}

void gi_data_take(struct gofer_inode *gi, int fd, bool writable)
{
    struct hostmem *h;

    if (!fd_is_regular(fd) || hostmem_new_take(fd, writable, &h) < 0)
        host_close(fd);
    else
        keep_take(gi, h);
}

static struct hostmem *kept_get(struct gofer_inode *gi, bool write)
{
    struct gofer_super *gs = gi->gs;
    struct hostmem *h = NULL;

    mutex_lock(&gs->lock);
    if (gi->data && (!write || hostmem_writable(gi->data))) {
        h = hostmem_get(gi->data);
        list_del(&gi->data_link);
        list_add(&gs->data, &gi->data_link);
    }
    mutex_unlock(&gs->lock);
    return h;
}

/* A descriptor that came with the walk. */
struct donated {
    struct gi_extra extra;
    int fd;
};

static int take_donated(struct gi_extra *extra, struct gofer_slot *c)
{
    struct donated *d = container_of(extra, struct donated, extra);

    d->fd = session_take_fd(c);
    extra->took = d->fd >= 0;
    return 0;
}

static int open_call(struct gofer_inode *gi, uint32_t fid, bool write, int *out_fd)
{
    struct gofer_slot *c;
    struct gp_attr attr;
    int ret = session_begin(gi->gs->session, GP_OPEN, &c);

    if (ret < 0)
        return ret;
    wbuf_u32(&c->out, fid);
    wbuf_u32(&c->out, write ? GP_OPEN_READ | GP_OPEN_WRITE : GP_OPEN_READ);
    ret = session_call(c);
    if (ret == 0) {
        gp_get_attr(&c->in, &attr);
        *out_fd = session_take_fd(c);
    }
    ret = session_end(c, ret);
    return ret == 0 && *out_fd < 0 ? -EIO : ret;
}

static int open_remote(struct gofer_inode *gi, bool write, struct hostmem **out)
{
    struct donated d = {.extra = {.flags = GP_WALK_DONATE, .take = take_donated}, .fd = -1};
    uint32_t fid;
    int ret = gi_pin_extra(gi, write ? NULL : &d.extra, &fid);

    if (ret == 0) {
        if (d.fd < 0)
            ret = open_call(gi, fid, write, &d.fd);
        gi_unpin(gi);
    }
    if (ret == 0)
        ret = fd_is_regular(d.fd) ? hostmem_new_take(d.fd, write, out) : -EIO;
    if (ret < 0) {
        if (d.fd >= 0)
            host_close(d.fd);
        return ret;
    }
    keep_take(gi, hostmem_get(*out));
    return 0;
}

int gi_data_get(struct gofer_inode *gi, bool write, struct hostmem **out)
{
    *out = kept_get(gi, write);
    return *out ? 0 : open_remote(gi, write, out);
}

static struct fs_time time_from_host(struct timespec t)
{
    return (struct fs_time){.sec = t.tv_sec, .nsec = (uint32_t)t.tv_nsec};
}

bool gi_data_stat(struct gofer_inode *gi)
{
    struct hostmem *h = kept_get(gi, /*write=*/false);
    struct fs_attr *to = &gi->inode.attr;
    struct stat st;
    int ret;

    if (!h)
        return false;
    ret = host_fstat(hostmem_fd(h), &st);
    hostmem_put(h);
    if (ret < 0)
        return false;
    to->mode = st.st_mode;
    to->nlink = (uint32_t)st.st_nlink;
    /* Not the owner: our user namespace does not know the host's ids. */
    to->size = (uint64_t)st.st_size;
    to->blocks = (uint64_t)st.st_blocks;
    inode_times_lock(&gi->inode);
    to->atime = time_from_host(st.st_atim);
    to->mtime = time_from_host(st.st_mtim);
    to->ctime = time_from_host(st.st_ctim);
    inode_times_unlock(&gi->inode);
    return true;
}

/* ---- mapping --------------------------------------------------------------------------------- */

static struct gofer_inode *map_owner(struct mappable *m)
{
    return gofer_inode(container_of(m, struct inode, map));
}

static int gofer_translate(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                           struct backing *out)
{
    struct gofer_inode *gi = map_owner(m);
    struct hostmem *h;
    uint64_t pages;
    int ret = gi_data_get(gi, write, &h);

    if (ret < 0)
        return ret;
    if (write)
        gi->dirty = true;
    if (gi->dirty || !gi->gs->exclusive) {
        struct stat st;

        ret = host_fstat(hostmem_fd(h), &st);
        if (ret < 0) {
            hostmem_put(h);
            return ret;
        }
        pages = align_up((uint64_t)st.st_size, LX_PAGE_SIZE) >> LX_PAGE_SHIFT;
    } else {
        pages = align_up(gi->inode.attr.size, LX_PAGE_SIZE) >> LX_PAGE_SHIFT;
    }
    if (pgoff >= pages) {
        hostmem_put(h);
        return -ENXIO;
    }
    *out = (struct backing){
        .kind = BACKING_HOST,
        .host = h,
        .host_off = pgoff << LX_PAGE_SHIFT,
        .count = (uint32_t)MIN((uint64_t)count, pages - pgoff),
    };
    return 0;
}

static void gofer_map_get(struct mappable *m)
{
    inode_get(&map_owner(m)->inode);
}

static void gofer_map_put(struct mappable *m)
{
    inode_put(&map_owner(m)->inode);
}

static int gofer_map_sync(struct mappable *m, uint64_t pgoff, uint64_t count)
{
    struct hostmem *h = kept_get(map_owner(m), /*write=*/true);
    int ret;

    (void)pgoff;
    (void)count;
    if (!h)
        return 0;
    ret = host_fdatasync(hostmem_fd(h));
    hostmem_put(h);
    return ret;
}

static int gofer_map_punch(struct mappable *m, uint64_t pgoff, uint64_t count)
{
    struct gofer_inode *gi = map_owner(m);
    struct hostmem *h = kept_get(gi, /*write=*/true);
    int ret;

    if (!h)
        return -EOPNOTSUPP;
    mutex_lock(&gi->inode.lock);
    ret = host_fallocate(hostmem_fd(h), LX_FALLOC_FL_PUNCH_HOLE | LX_FALLOC_FL_KEEP_SIZE,
                         (lx_loff_t)(pgoff << LX_PAGE_SHIFT), (lx_loff_t)(count << LX_PAGE_SHIFT));
    gi->dirty = true;
    mutex_unlock(&gi->inode.lock);
    hostmem_put(h);
    return ret;
}

const struct mappable_ops gofer_mappable_ops = {
    .punch = gofer_map_punch,
    .translate = gofer_translate,
    .get = gofer_map_get,
    .put = gofer_map_put,
    .sync = gofer_map_sync,
};

/* ---- file ops -------------------------------------------------------------------------------- */

static struct gofer_file *gofer_file(struct file *f)
{
    return container_of(f, struct gofer_file, file);
}

/* Reads what can be had from a mapping; bytes. Only of files whose size and bytes nobody changes:
 * a page at the end would show zeros behind it. */
static size_t read_window(struct file *f, struct iov_iter *dst, uint64_t pos)
{
    struct gofer_inode *gi = gofer_inode(f->inode);
    uint64_t size = gi->inode.attr.size;
    size_t left = iov_iter_count(dst), total = 0;

    if (!gi->gs->exclusive || gi->dirty || pos >= size)
        return 0;
    /* relaxed: a hint */
    if (atomic_load_explicit(&gi->reads, memory_order_relaxed) < WINDOW_AFTER) {
        atomic_fetch_add_explicit(&gi->reads, 1, memory_order_relaxed);
        return 0;
    }
    left = (size_t)MIN((uint64_t)left, size - pos);
    while (left > 0) {
        size_t want = MIN(left, (size_t)WINDOW_EVICTS);
        size_t n = hostmem_read(gofer_file(f)->data, pos + total, want, size >= WINDOW_EVICTS, dst);

        if (n == 0)
            break;
        total += n;
        left -= n;
    }
    if (total == 0) /* it cannot be mapped, or not now: not each time anew */
        atomic_store_explicit(&gi->reads, 0, memory_order_relaxed);
    return total;
}

static ssize_t gofer_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    int fd = hostmem_fd(gofer_file(f)->data);
    size_t left, total, chunk;
    uint8_t small[BOUNCE_STACK], *buf = small;
    ssize_t ret = 0;

    if (*pos < 0)
        return -EINVAL;
    total = read_window(f, dst, (uint64_t)*pos);
    *pos += (lx_loff_t)total;
    left = iov_iter_count(dst);
    if (total > 0 && (left == 0 || (uint64_t)*pos >= f->inode->attr.size))
        return (ssize_t)total;
    chunk = MIN(left, (size_t)BOUNCE_MAX);
    if (chunk > sizeof(small)) {
        buf = malloc(chunk);
        if (!buf)
            return total > 0 ? (ssize_t)total : -ENOMEM;
    }
    while (left > 0) {
        size_t want = MIN(left, chunk), moved;
        ssize_t n = host_pread(fd, buf, want, *pos);

        if (n == -EINTR)
            continue;
        if (n <= 0) {
            ret = n;
            break;
        }
        moved = copy_to_iter(dst, buf, (size_t)n);
        *pos += (lx_loff_t)moved;
        total += moved;
        left -= moved;
        if (moved < (size_t)n) {
            ret = -EFAULT;
            break;
        }
        if ((size_t)n < want)
            break;
    }
    if (buf != small)
        free(buf);
    return total > 0 ? (ssize_t)total : ret;
}

/* What the write left behind, as far as it can be known without asking. */
static void written_locked(struct gofer_inode *gi, lx_loff_t end)
{
    gi->dirty = true;
    if ((uint64_t)end > gi->inode.attr.size)
        gi->inode.attr.size = (uint64_t)end;
}

static ssize_t write_locked(struct gofer_inode *gi, struct file *f, struct iov_iter *src,
                            lx_loff_t *pos) REQUIRES(gi->inode.lock)
{
    int fd = hostmem_fd(gofer_file(f)->data);
    size_t left, total = 0, chunk;
    uint8_t small[BOUNCE_STACK], *buf = small;
    ssize_t ret;

    if (file_appends(f)) {
        struct stat st;

        ret = host_fstat(fd, &st);
        if (ret < 0)
            return ret;
        *pos = st.st_size;
    }
    ret = file_write_limit(f, *pos, iov_iter_count(src));
    if (ret <= 0)
        return ret;
    left = (size_t)ret;
    ret = 0;
    chunk = MIN(left, (size_t)BOUNCE_MAX);
    if (chunk > sizeof(small)) {
        buf = malloc(chunk);
        if (!buf)
            return -ENOMEM;
    }
    while (left > 0) {
        size_t got = copy_from_iter(src, buf, MIN(left, chunk)), done = 0;
        size_t want = MIN(left, chunk);

        while (done < got) {
            ret = host_pwrite(fd, buf + done, got - done, *pos);
            if (ret == -EINTR)
                continue;
            if (ret <= 0)
                break;
            done += (size_t)ret;
            *pos += ret;
        }
        total += done;
        left -= done;
        if (done < got)
            break;
        if (got < want) {
            ret = -EFAULT;
            break;
        }
    }
    if (total > 0)
        written_locked(gi, *pos);
    if (buf != small)
        free(buf);
    return total > 0 ? (ssize_t)total : ret;
}

static ssize_t gofer_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    struct gofer_inode *gi = gofer_inode(f->inode);
    ssize_t ret;

    if (*pos < 0)
        return -EINVAL;
    mutex_lock(&gi->inode.lock);
    ret = write_locked(gi, f, src, pos);
    mutex_unlock(&gi->inode.lock);
    return ret;
}

static lx_loff_t gofer_seek(struct file *f, lx_loff_t off, int whence)
{
    struct gofer_inode *gi = gofer_inode(f->inode);

    if (whence == LX_SEEK_DATA || whence == LX_SEEK_HOLE) {
        int64_t ret = host_lseek(hostmem_fd(gofer_file(f)->data), off, whence);

        if (ret >= 0)
            f->pos = ret;
        return ret;
    }
    if (whence == LX_SEEK_END && (gi->dirty || !gi->gs->exclusive))
        gi_data_stat(gi);
    return file_seek_generic(f, off, whence);
}

static int gofer_fsync(struct file *f, bool data_only)
{
    struct hostmem *h = gofer_file(f)->data;

    if (gofer_inode(f->inode)->gs->readonly)
        return 0;
    return data_only ? host_fdatasync(hostmem_fd(h)) : host_fsync(hostmem_fd(h));
}

static int gofer_fallocate(struct file *f, int mode, lx_loff_t off, lx_loff_t len)
{
    struct gofer_inode *gi = gofer_inode(f->inode);
    int ret;

    mutex_lock(&gi->inode.lock);
    ret = host_fallocate(hostmem_fd(gofer_file(f)->data), mode, off, len);
    gi->dirty = true;
    mutex_unlock(&gi->inode.lock);
    if (ret == 0)
        gi_data_stat(gi);
    return ret;
}

static void gofer_file_release(struct file *f)
{
    struct gofer_file *gf = gofer_file(f);

    hostmem_put(gf->data);
    file_destroy_generic(f);
    free(gf);
}

static const struct file_ops g_regular_ops = {
    .read = gofer_read,
    .write = gofer_write,
    .seek = gofer_seek,
    .fsync = gofer_fsync,
    .fallocate = gofer_fallocate,
    .release = gofer_file_release,
};

int gofer_open_regular(struct inode *inode, uint32_t flags, struct file **out)
{
    struct gofer_inode *gi = gofer_inode(inode);
    uint32_t access = flags & LX_O_ACCMODE;
    struct gofer_file *gf;
    int ret;

    if (!LX_S_ISREG(inode->attr.mode))
        return -ENXIO;
    gf = calloc(1, sizeof(*gf));
    if (!gf)
        return -ENOMEM;
    ret = gi_data_get(gi, access == LX_O_WRONLY || access == LX_O_RDWR, &gf->data);
    if (ret < 0) {
        free(gf);
        return ret;
    }
    file_init(&gf->file, &g_regular_ops, flags);
    gf->file.kind |= FILE_SEEKABLE;
    *out = &gf->file;
    return 0;
}
