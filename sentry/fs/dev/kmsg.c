/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/kmsg: the sandbox's kernel log (core/kmsg.h), a record per read: "priority,sequence,microseconds,-;text\\n".
 * What is written becomes a line of it. DEVIATION: after the newest record comes the end of the file, not a sleep.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/core/kmsg.h"
#include "sentry/fs/dev/dev.h"
#include "sentry/mm/uaccess.h"

enum { LINE_MAX_SIZE = 1024, USER_FACILITY = 1 << 3, DEFAULT_LEVEL = 4 };

/* Keys: a atomic */
struct kmsg_file {
    struct file file;
    _Atomic uint64_t next; /* a: sequence of the record that is read next */
};

static struct kmsg_file *kmsg_of(struct file *f)
{
    return container_of(f, struct kmsg_file, file);
}

static ssize_t kmsg_dev_read(struct file *f, struct iov_iter *dst, lx_loff_t *pos)
{
    char record[LINE_MAX_SIZE];
    uint64_t seq = kmsg_of(f)->next;
    size_t size = kmsg_record(&seq, record, sizeof(record));

    if (!size)
        return file_nonblock(f) ? -EAGAIN : 0;
    if (iov_iter_count(dst) < size)
        return -EINVAL;
    kmsg_of(f)->next = seq + 1;
    return copy_to_iter(dst, record, size) == size ? (ssize_t)size : -EFAULT;
}

static ssize_t kmsg_dev_write(struct file *f, struct iov_iter *src, lx_loff_t *pos)
{
    size_t size = iov_iter_count(src);
    int level = USER_FACILITY | DEFAULT_LEVEL;
    char line[LINE_MAX_SIZE], *text = line;

    if (size >= sizeof(line))
        return -EINVAL;
    if (copy_from_iter(src, line, size) != size)
        return -EFAULT;
    line[size] = '\0';
    if (line[0] == '<') {
        char *end;
        unsigned long value = strtoul(line + 1, &end, 10);

        if (end != line + 1 && *end == '>') {
            level = (int)(value & 7) | ((value >> 3) ? (int)(value & 0xf8) : USER_FACILITY);
            text = end + 1;
        }
    }
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < ' ')
            *p = p[1] ? ' ' : '\0'; /* one line */
    }
    kmsg_printf(level, "%s", text);
    return (ssize_t)size;
}

static lx_loff_t kmsg_dev_seek(struct file *f, lx_loff_t off, int whence)
{
    if (off)
        return -ESPIPE;
    if (whence == LX_SEEK_SET)
        kmsg_of(f)->next = 0;
    else if (whence == LX_SEEK_END || whence == LX_SEEK_DATA)
        kmsg_of(f)->next = kmsg_end();
    else
        return -EINVAL;
    return 0;
}

static uint32_t kmsg_dev_poll(struct file *f)
{
    return kmsg_of(f)->next < kmsg_end() ? WAKE_IN | WAKE_RDNORM | WAKE_OUT | WAKE_WRNORM
                                         : WAKE_OUT | WAKE_WRNORM;
}

static void kmsg_dev_release(struct file *f)
{
    file_destroy_generic(f);
    free(kmsg_of(f));
}

static const struct file_ops kmsg_file_ops = {
    .read = kmsg_dev_read,
    .write = kmsg_dev_write,
    .seek = kmsg_dev_seek,
    .poll = kmsg_dev_poll,
    .release = kmsg_dev_release,
};

int kmsg_open(uint32_t flags, struct file **out)
{
    struct kmsg_file *k = calloc(1, sizeof(*k));

    if (!k)
        return -ENOMEM;
    file_init(&k->file, &kmsg_file_ops, flags);
    *out = &k->file;
    return 0;
}
