/* SPDX-License-Identifier: Apache-2.0 */
/* sendfile(2), copy_file_range(2): bytes from file to file through a buffer of the sentry. */
#include <errno.h>
#include <stdlib.h>

#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

/* Stays in the CPU's cache, and malloc has it without a mapping, whose pages the host would clear each time. */
#define COPY_CHUNK (64u * 1024)

/* Writes all of buf; bytes written before an error count. */
static ssize_t write_all(struct file *out, void *buf, size_t size, lx_loff_t *pos)
{
    size_t done = 0;

    while (done < size) {
        struct iov_iter it;
        ssize_t n;

        iov_iter_init_kernel(&it, (char *)buf + done, size - done);
        n = pos ? file_write_at(out, &it, pos) : file_write(out, &it);
        if (n <= 0)
            return done ? (ssize_t)done : n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* in_pos NULL: the position is not ours (a device, a donated host file), what was read must be
 * written. */
static ssize_t copy_loop(struct file *in, lx_loff_t *in_pos, struct file *out, lx_loff_t *out_pos,
                         size_t count)
{
    size_t chunk = count < COPY_CHUNK ? count : COPY_CHUNK, done = 0;
    char *buf = malloc(chunk ? chunk : 1);
    ssize_t ret = 0;

    if (!buf)
        return -ENOMEM;
    while (done < count) {
        struct iov_iter it;
        lx_loff_t pos = in_pos ? *in_pos : 0;
        ssize_t got;

        iov_iter_init_kernel(&it, buf, count - done < chunk ? count - done : chunk);
        got = in_pos ? file_read_at(in, &it, &pos) : file_read(in, &it);
        if (got <= 0) {
            ret = got;
            break;
        }
        ret = write_all(out, buf, (size_t)got, out_pos);
        if (ret < 0)
            break;
        done += (size_t)ret;
        if (in_pos)
            *in_pos += ret;
        if (ret < got || task_interrupted())
            break;
    }
    free(buf);
    return done ? (ssize_t)done : ret;
}

/* From the file's own position, which moves by what went through. */
static ssize_t copy_from_own_pos(struct file *in, struct file *out, lx_loff_t *out_pos,
                                 size_t count)
{
    lx_loff_t pos;
    ssize_t ret;

    if (!(in->kind & FILE_SEEKABLE))
        return copy_loop(in, NULL, out, out_pos, count);
    pos = in->pos;
    ret = copy_loop(in, &pos, out, out_pos, count);
    if (ret > 0)
        vfs_lseek(in, pos, LX_SEEK_SET);
    return ret;
}

/* Linux: only from what has a position or none to lose: what was read from a stream and not written
 * could not be put back. */
static bool can_be_sent(const struct file *in)
{
    if (in->kind & FILE_STREAM)
        return false;
    return (in->kind & FILE_SEEKABLE) || inode_type(in->inode) != 0; /* 0: eventfd and the like */
}

static ssize_t do_sendfile(struct file *in, struct file *out, lx_loff_t *pos, size_t count)
{
    if (!file_readable(in))
        return -EBADF;
    if (pos && (in->kind & FILE_STREAM))
        return -ESPIPE;
    if (pos && *pos < 0)
        return -EINVAL;
    if (!file_writable(out))
        return -EBADF;
    if (inode_type(in->inode) == LX_S_IFDIR || (out->flags & LX_O_APPEND))
        return -EINVAL;
    if (!can_be_sent(in))
        return count == 0 && inode_type(out->inode) == LX_S_IFIFO ? 0 : -EINVAL;
    if (count > LX_MAX_RW_COUNT)
        count = LX_MAX_RW_COUNT;
    return pos ? copy_loop(in, pos, out, NULL, count) : copy_from_own_pos(in, out, NULL, count);
}

long sys_sendfile(struct task *t, int out_fd, int in_fd, uaddr_t offset, size_t count)
{
    struct fd_borrow in, out;
    lx_loff_t pos;
    long ret;

    if (offset) {
        ret = get_user(&pos, offset);
        if (ret < 0)
            return ret;
    }
    ret = fdtable_borrow(in_fd, &in);
    if (ret < 0)
        return ret;
    ret = fdtable_borrow(out_fd, &out);
    if (ret == 0) {
        ret = do_sendfile(in.file, out.file, offset ? &pos : NULL, count);
        fd_borrow_put(&out);
    }
    fd_borrow_put(&in);
    if (offset && ret >= 0) {
        int err = put_user(&pos, offset);

        if (err < 0)
            ret = err;
    }
    return ret;
}

/* ---- copy_file_range ------------------------------------------------------------------------- */

static int range_check(struct file *in, lx_loff_t in_pos, struct file *out, lx_loff_t out_pos,
                       size_t *len)
{
    uint32_t in_type = inode_type(in->inode), out_type = inode_type(out->inode);
    lx_loff_t in_end, out_end;
    uint64_t size = in->inode->attr.size;
    ssize_t room;

    if (in_type == LX_S_IFDIR || out_type == LX_S_IFDIR)
        return -EISDIR;
    if (in_type != LX_S_IFREG || out_type != LX_S_IFREG)
        return -EINVAL;
    if (!file_readable(in) || !file_writable(out) || (out->flags & LX_O_APPEND))
        return -EBADF;
    if (inode_is_immutable(out->inode))
        return -EPERM;
    if (in_pos < 0 || out_pos < 0)
        return -EINVAL;
    if (add_overflows(in_pos, (lx_loff_t)*len, &in_end) ||
        add_overflows(out_pos, (lx_loff_t)*len, &out_end))
        return -EOVERFLOW;
    *len = (uint64_t)in_pos >= size ? 0 : MIN(*len, size - (uint64_t)in_pos);
    room = file_write_limit(out, out_pos, *len);
    if (room < 0)
        return (int)room;
    *len = (size_t)room;
    if (in->inode == out->inode && out_pos < in_pos + (lx_loff_t)*len &&
        in_pos < out_pos + (lx_loff_t)*len)
        return -EINVAL;
    return 0;
}

/* A donated host file keeps its position on the host: only its seek op knows it. */
static lx_loff_t own_position(struct file *f)
{
    return f->kind & FILE_SEEKABLE ? f->pos : vfs_lseek(f, 0, LX_SEEK_CUR);
}

static ssize_t do_copy_range(struct file *in, lx_loff_t *in_pos, struct file *out,
                             lx_loff_t *out_pos, size_t len)
{
    lx_loff_t from = in_pos ? *in_pos : own_position(in);
    lx_loff_t to = out_pos ? *out_pos : own_position(out);
    ssize_t ret;

    if (len > LX_MAX_RW_COUNT)
        len = LX_MAX_RW_COUNT;
    ret = range_check(in, from, out, to, &len);
    if (ret < 0 || len == 0)
        return ret;
    ret = copy_loop(in, &from, out, &to, len);
    if (ret <= 0)
        return ret;
    if (in_pos)
        *in_pos = from;
    else
        vfs_lseek(in, from, LX_SEEK_SET);
    if (out_pos)
        *out_pos = to;
    else
        vfs_lseek(out, to, LX_SEEK_SET);
    return ret;
}

long sys_copy_file_range(struct task *t, int fd_in, uaddr_t off_in, int fd_out, uaddr_t off_out,
                         size_t len, uint32_t flags)
{
    lx_loff_t in_pos, out_pos;
    struct fd_borrow in, out;
    long ret;

    ret = fdtable_borrow(fd_in, &in);
    if (ret < 0)
        return ret;
    ret = fdtable_borrow(fd_out, &out);
    if (ret < 0)
        goto out_in;
    if (off_in)
        ret = get_user(&in_pos, off_in);
    if (ret == 0 && off_out)
        ret = get_user(&out_pos, off_out);
    if (ret == 0 && flags)
        ret = -EINVAL;
    if (ret == 0)
        ret = do_copy_range(in.file, off_in ? &in_pos : NULL, out.file, off_out ? &out_pos : NULL,
                            len);
    if (ret > 0) {
        int err = off_in ? put_user(&in_pos, off_in) : 0;

        if (err == 0 && off_out)
            err = put_user(&out_pos, off_out);
        if (err < 0)
            ret = err;
    }
    fd_borrow_put(&out);
out_in:
    fd_borrow_put(&in);
    return ret;
}
