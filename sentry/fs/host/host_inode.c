/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes of donated descriptors: what stat shows, a second open, mapping. The object belongs to the
 * host; the donor decided who may read and write it, so no other permission is asked, and nothing
 * but the size of a file donated for writing can be changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/host/file.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/host/hostfile_internal.h"
#include "sentry/mm/hostmem.h"

/* Lifetime: refcounted as its inode. */
struct host_inode {
    struct inode inode;
    struct hostfd *h;              /* +1 user */
    _Atomic(struct hostmem *) mem; /* +1, made by the first mapping: a duplicate of h's fd */
};

static const struct inode_ops host_inode_ops;

static struct host_inode *host_inode_of(struct inode *i)
{
    return container_of(i, struct host_inode, inode);
}

static int host_inode_getattr(struct inode *i)
{
    struct stat st;
    int ret = host_fstat(host_inode_of(i)->h->fd, &st);

    if (ret < 0)
        return ret;
    mutex_lock(&i->lock);
    i->attr.mode = st.st_mode;
    i->attr.uid = st.st_uid;
    i->attr.gid = st.st_gid;
    i->attr.nlink = (uint32_t)st.st_nlink;
    i->attr.size = (uint64_t)st.st_size;
    i->attr.blocks = (uint64_t)st.st_blocks;
    i->attr.blksize = (uint32_t)st.st_blksize;
    i->attr.rdev = lx_dev_decode(st.st_rdev);
    inode_times_lock(i);
    i->attr.atime = (struct fs_time){st.st_atim.tv_sec, (uint32_t)st.st_atim.tv_nsec};
    i->attr.mtime = (struct fs_time){st.st_mtim.tv_sec, (uint32_t)st.st_mtim.tv_nsec};
    i->attr.ctime = (struct fs_time){st.st_ctim.tv_sec, (uint32_t)st.st_ctim.tv_nsec};
    inode_times_unlock(i);
    mutex_unlock(&i->lock);
    return 0;
}

/* The host's file belongs to the host: only its size may change, if it was donated for writing. */
static int host_inode_setattr(struct inode *i, const struct fs_attr *attr)
{
    struct hostfd *h = host_inode_of(i)->h;

    if (attr->mask & (ATTR_MODE | ATTR_UID | ATTR_GID))
        return -EPERM;
    if (attr->mask & ATTR_SIZE) {
        if (!h->writable || h->type != S_IFREG)
            return -EINVAL;
        return host_ftruncate(h->fd, (int64_t)attr->size);
    }
    return 0;
}

/* open("/dev/stdout"), open("/proc/self/fd/0"). What the donor did not allow stays forbidden. */
static int host_inode_open(struct inode *i, struct dentry *dentry, uint32_t flags,
                           struct file **out)
{
    struct hostfd *h = host_inode_of(i)->h;
    uint32_t access = flags & LX_O_ACCMODE;
    struct hostfile *hf;
    int ret;

    if (h->type == S_IFSOCK)
        return -ENXIO;
    if ((access != LX_O_WRONLY && !h->readable) || (access != LX_O_RDONLY && !h->writable))
        return -EACCES;
    ret = hostfile_make(h, flags, /*own_pos=*/true, &hf);
    if (ret < 0)
        return ret;
    *out = &hf->file;
    return 0;
}

bool inode_is_hostfile(const struct inode *inode)
{
    return inode->ops == &host_inode_ops;
}

int hostfile_reopen(struct inode *inode, uint32_t flags, struct file **out)
{
    return host_inode_open(inode, NULL, flags, out);
}

/* Whoever was given the descriptor may use it: the donor decided. */
static int host_inode_permission(struct inode *i, const struct cred *cred, uint32_t mask)
{
    struct hostfd *h = host_inode_of(i)->h;

    if (((mask & MAY_READ) && !h->readable) || ((mask & MAY_WRITE) && !h->writable) ||
        (mask & MAY_EXEC))
        return -EACCES;
    return 0;
}

/* ---- mapping --------------------------------------------------------------------------------- */

static struct host_inode *host_inode_of_map(struct mappable *m)
{
    return host_inode_of(container_of(m, struct inode, map));
}

static int host_inode_mem_get(struct host_inode *hi, struct hostmem **out)
{
    struct hostmem *mem = atomic_load(&hi->mem), *none = NULL;
    int fd, ret;

    if (!mem) {
        fd = host_fcntl(hi->h->fd, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return fd;
        ret = hostmem_new_take(fd, hi->h->writable, &mem);
        if (ret < 0) {
            (void)host_close(fd); /* the first error is the one to tell */
            return ret;
        }
        if (!atomic_compare_exchange_strong(&hi->mem, &none, mem)) {
            hostmem_put(mem);
            mem = none;
        }
    }
    *out = hostmem_get(mem);
    return 0;
}

static int host_translate(struct mappable *m, uint64_t pgoff, uint32_t count, bool write,
                          struct backing *out)
{
    struct host_inode *hi = host_inode_of_map(m);
    struct hostmem *mem;
    struct stat st;
    uint64_t pages;
    int ret = host_fstat(hi->h->fd, &st);

    if (ret < 0)
        return ret;
    pages = align_up((uint64_t)st.st_size, LX_PAGE_SIZE) >> LX_PAGE_SHIFT;
    if (pgoff >= pages)
        return -ENXIO;
    ret = host_inode_mem_get(hi, &mem);
    if (ret < 0)
        return ret;
    *out = (struct backing){
        .kind = BACKING_HOST,
        .host = mem,
        .host_off = pgoff << LX_PAGE_SHIFT,
        .count = (uint32_t)MIN((uint64_t)count, pages - pgoff),
    };
    return 0;
}

static void host_map_get(struct mappable *m)
{
    inode_get(&host_inode_of_map(m)->inode);
}

static void host_map_put(struct mappable *m)
{
    inode_put(&host_inode_of_map(m)->inode);
}

static const struct mappable_ops host_mappable_ops = {
    .translate = host_translate,
    .get = host_map_get,
    .put = host_map_put,
};

static void host_inode_destroy(struct inode *i)
{
    struct host_inode *hi = host_inode_of(i);
    struct hostmem *mem = atomic_load(&hi->mem);

    inode_destroy_generic(i);
    if (mem)
        hostmem_put(mem);
    hostfd_user_put(hi->h);
    free(hi);
}

static const struct inode_ops host_inode_ops = {
    .getattr = host_inode_getattr,
    .setattr = host_inode_setattr,
    .permission = host_inode_permission,
    .open = host_inode_open,
    .destroy = host_inode_destroy,
};

static int host_statfs(struct super *s, struct fs_statfs *out)
{
    memset(out, 0, sizeof(*out));
    out->type = 0x50495045; /* PIPEFS_MAGIC: the usual donated thing */
    out->bsize = LX_PAGE_SIZE;
    out->frsize = LX_PAGE_SIZE;
    out->namelen = LX_NAME_MAX;
    return 0;
}

static const struct super_ops host_super_ops = {.statfs = host_statfs};

/* One hidden super for all donated descriptors; never freed. */
static int host_super_get(struct super **out)
{
    static struct super *g_super;
    static struct mutex g_lock = {.rank = RANK_FS_SUPER};
    struct super *s;
    int ret = 0;

    mutex_lock(&g_lock);
    if (!g_super) {
        s = calloc(1, sizeof(*s));
        ret = s ? super_init(s, &host_super_ops, "hostfd") : -ENOMEM;
        if (ret == 0)
            g_super = s;
        else
            free(s);
    }
    *out = g_super;
    mutex_unlock(&g_lock);
    return ret;
}

static int host_inode_new(struct hostfd *h, struct inode **out)
{
    struct host_inode *hi;
    struct super *s;
    int ret = host_super_get(&s);

    if (ret < 0)
        return ret;
    hi = calloc(1, sizeof(*hi));
    if (!hi)
        return -ENOMEM;
    inode_init(&hi->inode, s, &host_inode_ops, h->type | 0600);
    hi->inode.attr.ino = inode_new_ino();
    hi->h = hostfd_user_get(h);
    if (h->type == S_IFREG && h->readable)
        hi->inode.map.ops = &host_mappable_ops;
    ret = host_inode_getattr(&hi->inode);
    if (ret < 0)
        inode_put(&hi->inode);
    else
        *out = &hi->inode;
    return ret;
}

/* What /proc/PID/fd/N shows: the host's path is not ours to know. */
static const char *host_name(const struct hostfd *h, lx_dev_t rdev)
{
    static const char *const memory_devices[] = {
        [3] = "/dev/null",   [5] = "/dev/zero",    [7] = "/dev/full",
        [8] = "/dev/random", [9] = "/dev/urandom",
    };
    uint32_t minor = lx_dev_minor(rdev);

    if (h->type == S_IFIFO)
        return "pipe:";
    if (h->type == S_IFSOCK)
        return "socket:";
    if (h->tty)
        return "/dev/console";
    if (h->type == S_IFCHR && lx_dev_major(rdev) == 1 && minor < ARRAY_COUNT(memory_devices) &&
        memory_devices[minor])
        return memory_devices[minor];
    return "host:";
}

int hostfile_new_take(int host_fd, uint32_t flags, struct file **out)
{
    struct hostfile *hf = NULL;
    struct inode *inode;
    struct hostfd *h;
    uint32_t access;
    int ret = hostfd_new_take(host_fd, &h);

    if (ret < 0)
        return ret;
    access = h->readable && h->writable ? LX_O_RDWR : h->writable ? LX_O_WRONLY : LX_O_RDONLY;
    if ((flags & LX_O_ACCMODE) == LX_O_RDONLY && h->readable)
        access = LX_O_RDONLY;
    else if ((flags & LX_O_ACCMODE) == LX_O_WRONLY && h->writable)
        access = LX_O_WRONLY;
    ret = host_inode_new(h, &inode);
    if (ret < 0)
        goto out;
    ret = hostfile_make(h, access | (flags & LX_O_SETFL), /*own_pos=*/false, &hf);
    if (ret < 0) {
        inode_put(inode);
        goto out;
    }
    ret = file_set_anon(&hf->file, host_name(h, inode->attr.rdev), inode->attr.mode, inode);
    if (ret < 0)
        file_put(&hf->file);
    else
        *out = &hf->file;
out:
    hostfd_user_put(h);
    return ret;
}
