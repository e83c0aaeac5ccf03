/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/fd and fdinfo: one magic link and one text file per open descriptor. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sentry/proc/proc_internal.h"

static int files_of(struct pseudo_node *n, struct fdtable **out)
{
    struct task *t;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return -ENOENT;
    *out = task_files_get(t);
    task_put(t);
    return *out ? 0 : -ENOENT;
}

static int file_of(struct pseudo_node *n, struct file **out)
{
    struct fdtable *files;
    int ret = files_of(n, &files);

    if (ret < 0)
        return ret;
    ret = fdtable_lookup_any_get(files, (int)n->arg, out);
    fdtable_put(files);
    return ret < 0 ? -ENOENT : 0;
}

static int fd_follow(struct pseudo_node *n, struct path *out)
{
    struct file *f;
    int ret = file_of(n, &f);

    if (ret < 0)
        return ret;
    *out = f->path;
    path_get(out);
    file_put(f);
    return 0;
}

static const struct pseudo_entry fd_link = {
    .name = "fd",
    .mode = 0120700,
    .follow = fd_follow,
    .access = proc_access_ptrace_read,
    .data = &g_proc_fd_dir,
};

static int show_fdinfo(struct pseudo_node *n, struct pbuf *b)
{
    struct fdtable *files;
    struct file *f;
    char extra[4096];
    size_t size;
    int cloexec = 0, ret = file_of(n, &f);

    if (ret < 0)
        return ret;
    if (files_of(n, &files) == 0) {
        cloexec = fdtable_get_cloexec(files, (int)n->arg);
        fdtable_put(files);
    }
    pbuf_printf(b, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n", (long long)f->pos,
                f->flags | (cloexec > 0 ? 02000000u : 0u), mount_id(f->path.mnt),
                (unsigned long long)(f->inode ? f->inode->attr.ino : 0));
    if (f->ops->fdinfo) {
        size = f->ops->fdinfo(f, extra, sizeof(extra));
        pbuf_put(b, extra, MIN(size, sizeof(extra)));
    }
    file_put(f);
    return 0;
}

static const struct pseudo_entry fdinfo_file = {
    .name = "fdinfo",
    .mode = 0100444,
    .show = show_fdinfo,
    .data = &g_proc_fd_dir,
};

static int fd_lookup(struct pseudo_node *dir, const char *name, size_t len, bool link,
                     struct pseudo_node **out)
{
    int64_t nr = pseudo_parse_nr(name, len);
    struct fdtable *files;
    struct file *f;
    uint32_t access;
    int ret;

    *out = NULL;
    if (nr < 0 || files_of(dir, &files) < 0)
        return 0;
    ret = fdtable_lookup_any_get(files, (int)nr, &f);
    fdtable_put(files);
    if (ret < 0)
        return 0;
    access = 0100u | (file_readable(f) ? 0400u : 0u) | (file_writable(f) ? 0200u : 0u);
    file_put(f);
    ret = pseudo_node_new(dir, link ? &fd_link : &fdinfo_file, name, len, out);
    if (ret == 0) {
        (*out)->arg = (uint64_t)nr;
        if (link)
            (*out)->inode.attr.mode = 0120000 | access;
    }
    return ret;
}

static int fd_link_lookup(struct pseudo_node *dir, const char *name, size_t len,
                          struct pseudo_node **out)
{
    return fd_lookup(dir, name, len, /*link=*/true, out);
}

static int fdinfo_lookup(struct pseudo_node *dir, const char *name, size_t len,
                         struct pseudo_node **out)
{
    return fd_lookup(dir, name, len, /*link=*/false, out);
}

static int fd_next(struct pseudo_node *dir, uint64_t *cookie, struct pseudo_name *out,
                   uint32_t mode)
{
    struct fdtable *files;
    struct file *f;
    int fd, ret;

    if (*cookie > INT32_MAX)
        return 0;
    ret = files_of(dir, &files);
    if (ret < 0)
        return ret;
    fd = fdtable_next_get(files, (int)*cookie, &f);
    fdtable_put(files);
    if (fd < 0)
        return 0;
    file_put(f);
    snprintf(out->name, sizeof(out->name), "%d", fd);
    out->mode = mode;
    *cookie = (uint64_t)fd + 1;
    return 1;
}

static int fd_link_next(struct pseudo_node *dir, uint64_t *cookie, struct pseudo_name *out)
{
    return fd_next(dir, cookie, out, 0120777);
}

static int fdinfo_next(struct pseudo_node *dir, uint64_t *cookie, struct pseudo_name *out)
{
    return fd_next(dir, cookie, out, 0100444);
}

const struct pseudo_dir g_proc_fd_dir = {
    .lookup = fd_link_lookup,
    .next = fd_link_next,
};

const struct pseudo_dir g_proc_fdinfo_dir = {
    .lookup = fdinfo_lookup,
    .next = fdinfo_next,
};
