/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/copy_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/core/curr.h"

enum { CHUNK = 64 << 10 };

struct copying {
    char to[LX_PATH_MAX]; /* where we are */
    char buf[CHUNK];
};

/* ---- names of a directory -------------------------------------------------------------------- */

struct names {
    struct dir_emit emit;
    char **list;
    size_t count;
    bool failed; /* out of memory */
};

static bool add_name(struct dir_emit *d, const char *name, size_t len, uint64_t ino, uint8_t type,
                     lx_loff_t next_pos)
{
    struct names *n = container_of(d, struct names, emit);
    char **longer, *copy;

    (void)ino;
    (void)type;
    (void)next_pos;
    if ((len == 1 && name[0] == '.') || (len == 2 && !memcmp(name, "..", 2)))
        return true;
    longer = realloc(n->list, (n->count + 1) * sizeof(*longer));
    if (longer)
        n->list = longer;
    copy = longer ? strndup(name, len) : NULL;
    if (!copy) {
        n->failed = true;
        return false;
    }
    n->list[n->count++] = copy;
    return true;
}

static void names_free(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->list[i]);
    free(n->list);
}

/* All of them before the first is copied: a directory is not changed while it is read. */
static int read_names(const struct path *dir, struct names *out)
{
    struct file *f;
    size_t before;
    int ret = vfs_open_path(dir, LX_O_RDONLY | LX_O_DIRECTORY, curr()->cred, &f);

    if (ret < 0)
        return ret;
    do {
        before = out->count;
        ret = vfs_readdir(f, &out->emit);
    } while (ret == 0 && !out->failed && out->count > before);
    file_put(f);
    return out->failed ? -ENOMEM : ret;
}

/* ---- objects --------------------------------------------------------------------------------- */

static int copy_data(struct copying *c, const struct path *from)
{
    const struct open_how how = {.flags = LX_O_CREAT | LX_O_EXCL | LX_O_WRONLY, .mode = 0600};
    struct file *in, *out;
    lx_loff_t at = 0;
    ssize_t n = vfs_open_path(from, LX_O_RDONLY, curr()->cred, &in);

    if (n < 0)
        return (int)n;
    n = vfs_open(LX_AT_FDCWD, c->to, &how, &out);
    if (n == 0) {
        while ((n = file_read_kernel(in, c->buf, CHUNK, at)) > 0) {
            ssize_t put = file_write_kernel(out, c->buf, (size_t)n, at);

            if (put != n) {
                n = put < 0 ? put : -ENOSPC;
                break;
            }
            at += n;
        }
        file_put(out);
    }
    file_put(in);
    return (int)n;
}

static int copy_link(struct copying *c, const struct path *from)
{
    char *target;
    int ret = vfs_readlink(from, &target);

    if (ret < 0)
        return ret;
    ret = vfs_symlink(target, LX_AT_FDCWD, c->to);
    free(target);
    return ret;
}

static int copy_attributes(struct copying *c, const struct fs_attr *attr)
{
    struct fs_attr wanted = *attr;
    struct path made;
    int ret = vfs_walk(LX_AT_FDCWD, c->to, 0, &made);

    if (ret < 0)
        return ret;
    wanted.mask = ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME;
    if (!LX_S_ISLNK(attr->mode))
        wanted.mask |= ATTR_MODE;
    ret = inode_setattr(made.dentry->inode, &wanted);
    path_put(&made);
    return ret;
}

static int copy_dir(struct copying *c, const struct path *from);

static int copy_object(struct copying *c, const struct path *from)
{
    struct fs_attr attr;
    int ret = vfs_getattr(from, &attr);

    if (ret < 0)
        return ret;
    if (LX_S_ISDIR(attr.mode)) {
        ret = vfs_mkdir(LX_AT_FDCWD, c->to, 0700);
        if (ret == 0)
            ret = copy_dir(c, from);
    } else if (LX_S_ISREG(attr.mode)) {
        ret = copy_data(c, from);
    } else if (LX_S_ISLNK(attr.mode)) {
        ret = copy_link(c, from);
    } else {
        ret = vfs_mknod(LX_AT_FDCWD, c->to, attr.mode, attr.rdev);
    }
    return ret < 0 ? ret : copy_attributes(c, &attr);
}

/* As deep as a path name can say. */
static int copy_dir(struct copying *c, const struct path *from)
{
    struct names names = {.emit = {.entry = add_name}};
    size_t len = strlen(c->to);
    int ret = read_names(from, &names);

    for (size_t i = 0; ret == 0 && i < names.count; i++) {
        struct path child;
        int n = snprintf(c->to + len, sizeof(c->to) - len, "/%s", names.list[i]);

        if (n < 0 || (size_t)n >= sizeof(c->to) - len) {
            ret = -ENAMETOOLONG;
        } else {
            ret = vfs_walk_at(from, names.list[i], 0, &child);
            if (ret == 0) {
                if (child.mnt == from->mnt)
                    ret = copy_object(c, &child);
                path_put(&child);
            }
        }
        c->to[len] = '\0';
    }
    names_free(&names);
    return ret;
}

int boot_copy_tree(const struct path *from, const char *to)
{
    struct copying *c = malloc(sizeof(*c));
    int ret = -ENAMETOOLONG;

    if (!c)
        return -ENOMEM;
    if ((size_t)snprintf(c->to, sizeof(c->to), "%s", to) < sizeof(c->to))
        ret = copy_dir(c, from);
    free(c);
    return ret;
}
