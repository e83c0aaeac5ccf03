/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs: the super, mount options, limits, and the life of inodes. */
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/memcg.h"

/* Linux: without size=, half of the memory; here of what the mounter's control group may have. */
static uint64_t memory_size(void)
{
    uint64_t limit = memcg_limit(g_curr ? g_curr->memcg : MEMCG_ROOT);

    return limit == MEMCG_UNLIMITED ? 1ull << 34 : limit; /* before the sandbox knows its own */
}

uint64_t tmpfs_default_size(void)
{
    return MAX(memory_size() / 2 & ~(uint64_t)(LX_PAGE_SIZE - 1), LX_PAGE_SIZE);
}

static int tmpfs_statfs(struct super *s, struct fs_statfs *out)
{
    struct tmpfs_super *ts = container_of(s, struct tmpfs_super, super);
    uint64_t used = ts->used_pages, iused = ts->used_inodes;

    *out = (struct fs_statfs){.type = LX_TMPFS_MAGIC,
                              .bsize = LX_PAGE_SIZE,
                              .frsize = LX_PAGE_SIZE,
                              .namelen = LX_NAME_MAX,
                              .fsid = s->dev};
    /* Without a limit of its own, what the default would be: installers refuse a disk of size 0. */
    out->blocks = ts->max_pages ? ts->max_pages : used + tmpfs_default_size() / LX_PAGE_SIZE;
    out->bfree = out->bavail = used < out->blocks ? out->blocks - used : 0;
    out->files = ts->max_inodes ? ts->max_inodes : iused + tmpfs_default_size() / LX_PAGE_SIZE;
    out->ffree = iused < out->files ? out->files - iused : 0;
    return 0;
}

static void tmpfs_destroy(struct super *s)
{
    struct tmpfs_super *ts = container_of(s, struct tmpfs_super, super);

    mutex_destroy(&ts->lock);
    free(ts);
}

static void PRINTF_LIKE(4, 5) show(char *buf, size_t size, size_t *used, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(buf + *used, size - *used, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < size - *used)
        *used += (size_t)n;
}

/* Linux: what differs from the default; mode and owner of the root are those that it was mounted with. */
static size_t tmpfs_show_options(struct super *s, char *buf, size_t size)
{
    const struct tmpfs_super *ts = container_of(s, struct tmpfs_super, super);
    const struct userns *ns = userns_init_get();
    size_t used = 0;

    if (ts->max_pages)
        show(buf, size, &used, ",size=%lluk", (unsigned long long)ts->max_pages * 4);
    if (ts->mode != 01777u)
        show(buf, size, &used, ",mode=%o", ts->mode);
    if (ts->uid)
        show(buf, size, &used, ",uid=%u", userns_from_kuid(ns, ts->uid));
    if (ts->gid)
        show(buf, size, &used, ",gid=%u", userns_from_kgid(ns, ts->gid));
    return used;
}

/* "64k", "10m", "50%": bytes, or -EINVAL. */
static int parse_size(const char *s, bool percent, uint64_t *out)
{
    char *end;
    unsigned long long v;

    if (!isdigit((unsigned char)*s))
        return -EINVAL;
    v = strtoull(s, &end, 0);
    switch (*end) {
    case '%':
        if (!percent)
            return -EINVAL;
        v = memory_size() / 100 * v;
        end++;
        break;
    case 'k':
    case 'K':
        v <<= 10;
        end++;
        break;
    case 'm':
    case 'M':
        v <<= 20;
        end++;
        break;
    case 'g':
    case 'G':
        v <<= 30;
        end++;
        break;
    default:
        break;
    }
    *out = v;
    return *end ? -EINVAL : 0;
}

static int parse_number(const char *s, int base, uint32_t *out)
{
    char *end;
    unsigned long v;

    if (!isdigit((unsigned char)*s))
        return -EINVAL;
    v = strtoul(s, &end, base);
    *out = (uint32_t)v;
    return *end || v > UINT32_MAX ? -EINVAL : 0;
}

static int parse_option(struct tmpfs_options *opt, const char *key, const char *value)
{
    uint64_t n;
    int ret;

    if (!strcmp(key, "huge") || !strcmp(key, "mpol") || !strcmp(key, "inode32") ||
        !strcmp(key, "inode64") || !strcmp(key, "noswap") || !strcmp(key, "seclabel"))
        return 0;
    if (!value)
        return -EINVAL;
    if (!strcmp(key, "size"))
        return parse_size(value, /*percent=*/true, &opt->size_limit);
    if (!strcmp(key, "nr_blocks")) {
        ret = parse_size(value, false, &n);
        opt->size_limit = n * LX_PAGE_SIZE;
        return ret;
    }
    if (!strcmp(key, "nr_inodes"))
        return parse_size(value, false, &opt->inode_limit);
    if (!strcmp(key, "mode")) {
        ret = parse_number(value, 8, &opt->mode);
        opt->mode &= LX_S_IALLUGO;
        return ret;
    }
    if (!strcmp(key, "uid")) {
        ret = parse_number(value, 10, &opt->uid);
        opt->uid = userns_to_kuid(curr()->cred->userns, opt->uid);
        return ret == 0 && opt->uid == LX_ID_INVALID ? -EINVAL : ret;
    }
    if (!strcmp(key, "gid")) {
        ret = parse_number(value, 10, &opt->gid);
        opt->gid = userns_to_kgid(curr()->cred->userns, opt->gid);
        return ret == 0 && opt->gid == LX_ID_INVALID ? -EINVAL : ret;
    }
    return -EINVAL;
}

static int parse_options(struct tmpfs_options *opt, const char *options)
{
    char *copy = strdup(options), *save = NULL, *item;
    int ret = 0;

    if (!copy)
        return -ENOMEM;
    for (item = strtok_r(copy, ",", &save); item && ret == 0; item = strtok_r(NULL, ",", &save)) {
        char *value = strchr(item, '=');

        if (value)
            *value++ = '\0';
        ret = parse_option(opt, item, value);
    }
    free(copy);
    return ret;
}

static int tmpfs_remount(struct super *s, const char *options)
{
    struct tmpfs_super *ts = container_of(s, struct tmpfs_super, super);
    struct tmpfs_options opt = {.size_limit = ts->max_pages * LX_PAGE_SIZE,
                                .inode_limit = ts->max_inodes};
    int ret = parse_options(&opt, options);
    uint64_t pages = (opt.size_limit + LX_PAGE_SIZE - 1) / LX_PAGE_SIZE;

    if (ret < 0)
        return ret;
    if ((pages && pages < ts->used_pages) || (opt.inode_limit && opt.inode_limit < ts->used_inodes))
        return -EINVAL;
    ts->max_pages = pages;
    ts->max_inodes = opt.inode_limit;
    return 0;
}

static const struct super_ops tmpfs_super_ops = {
    .statfs = tmpfs_statfs,
    .destroy = tmpfs_destroy,
    .show_options = tmpfs_show_options,
    .remount = tmpfs_remount,
};

int tmpfs_create(const struct tmpfs_options *opt, struct super **out)
{
    struct tmpfs_super *ts = calloc(1, sizeof(*ts));
    struct tmpfs_inode *root;
    int ret;

    if (!ts)
        return -ENOMEM;
    ret = super_init(&ts->super, &tmpfs_super_ops, "tmpfs");
    if (ret < 0) {
        free(ts);
        return ret;
    }
    mutex_init(&ts->lock, RANK_FS_SUPER);
    ts->super.flags = opt->super_flags | SUPER_STICKY_NEGATIVE;
    ts->max_pages = (opt->size_limit + LX_PAGE_SIZE - 1) / LX_PAGE_SIZE;
    ts->max_inodes = opt->inode_limit;
    ts->mode = opt->mode;
    ts->uid = opt->uid;
    ts->gid = opt->gid;
    ret = tmpfs_inode_new(&ts->super, NULL, LX_S_IFDIR | opt->mode, 0, &root);
    if (ret == 0) {
        root->parent = root;
        root->inode.attr.uid = opt->uid;
        root->inode.attr.gid = opt->gid;
        ret = dentry_make_root(&ts->super, &root->inode, &ts->super.root);
    }
    if (ret < 0) {
        super_put(&ts->super);
        return ret;
    }
    *out = &ts->super;
    return 0;
}

static int tmpfs_mount(const struct fs_type *type, const char *source, const char *options,
                       uint32_t super_flags, struct super **out)
{
    struct tmpfs_options opt = {.size_limit = tmpfs_default_size(),
                                .inode_limit = tmpfs_default_size() / LX_PAGE_SIZE,
                                .mode = 01777,
                                .uid = curr()->cred->fsuid,
                                .gid = curr()->cred->fsgid,
                                .super_flags = super_flags};
    int ret = options ? parse_options(&opt, options) : 0;

    return ret < 0 ? ret : tmpfs_create(&opt, out);
}

const struct fs_type g_fs_tmpfs = {.name = "tmpfs", .flags = FS_TYPE_USERNS, .mount = tmpfs_mount};

/* ---- limits and inodes ----------------------------------------------------------------------- */

bool tmpfs_charge(struct tmpfs_super *ts, uint64_t pages)
{
    uint64_t used = atomic_fetch_add(&ts->used_pages, pages) + pages;

    if (ts->max_pages && used > ts->max_pages) {
        atomic_fetch_sub(&ts->used_pages, pages);
        return false;
    }
    return true;
}

void tmpfs_uncharge(struct tmpfs_super *ts, uint64_t pages)
{
    atomic_fetch_sub(&ts->used_pages, pages);
}

int tmpfs_inode_new(struct super *s, const struct inode *dir, uint32_t mode, lx_dev_t rdev,
                    struct tmpfs_inode **out)
{
    struct tmpfs_super *ts = container_of(s, struct tmpfs_super, super);
    const struct inode_ops *ops = &tmpfs_node_inode_ops;
    uint64_t used = atomic_fetch_add(&ts->used_inodes, 1) + 1;
    struct tmpfs_inode *ti;

    if (ts->max_inodes && used > ts->max_inodes) {
        atomic_fetch_sub(&ts->used_inodes, 1);
        return -ENOSPC;
    }
    ti = calloc(1, sizeof(*ti));
    if (!ti) {
        atomic_fetch_sub(&ts->used_inodes, 1);
        return -ENOMEM;
    }
    switch (mode & LX_S_IFMT) {
    case LX_S_IFDIR:
        ops = &tmpfs_dir_inode_ops;
        break;
    case LX_S_IFREG:
        ops = &tmpfs_file_inode_ops;
        break;
    case LX_S_IFLNK:
        ops = &tmpfs_link_inode_ops;
        break;
    default:
        break;
    }
    inode_init(&ti->inode, s, ops, mode);
    inode_init_owner(&ti->inode, dir, mode);
    if (dir)
        ti->inode.fsflags = dir->fsflags & (LX_FS_NODUMP_FL | LX_FS_NOATIME_FL);
    ti->inode.attr.ino = inode_new_ino();
    ti->inode.attr.rdev = rdev;
    list_init(&ti->xattrs);
    list_init(&ti->grave);
    if (LX_S_ISDIR(mode)) {
        RB_INIT(&ti->names);
        RB_INIT(&ti->positions);
        ti->next_pos = 2; /* after "." and ".." */
        ti->inode.attr.nlink = 2;
        ti->inode.attr.size = 2 * TMPFS_ENTRY_SIZE;
    } else if (LX_S_ISREG(mode)) {
        page_tree_init(&ti->pages);
        ti->seals = LX_F_SEAL_SEAL;
        ti->inode.map.ops = &tmpfs_mappable_ops;
    }
    *out = ti;
    return 0;
}

void tmpfs_inode_destroy(struct inode *i)
{
    struct tmpfs_inode *ti = tmpfs_inode_of(i);
    struct tmpfs_super *ts = tmpfs_super_of(i);

    if (LX_S_ISDIR(i->attr.mode))
        tmpfs_dir_teardown(ti);
    else if (LX_S_ISREG(i->attr.mode))
        tmpfs_free_pages(ti);
    tmpfs_xattrs_free(ti);
    atomic_fetch_sub(&ts->used_inodes, 1);
    inode_destroy_generic(i);
    free(ti);
}

int tmpfs_setattr(struct inode *inode, const struct fs_attr *attr)
{
    if (attr->mask & ATTR_SIZE) {
        struct fs_attr a = *attr;
        int ret = tmpfs_truncate(tmpfs_inode_of(inode), attr->size);

        if (ret < 0)
            return ret;
        a.mask |= ATTR_MTIME_NOW;
        inode_setattr_generic(inode, &a);
        return 0;
    }
    inode_setattr_generic(inode, attr);
    return 0;
}

int tmpfs_set_fsflags(struct inode *inode, uint32_t flags)
{
    if (flags & ~(LX_FS_IMMUTABLE_FL | LX_FS_APPEND_FL | LX_FS_NODUMP_FL | LX_FS_NOATIME_FL))
        return -EOPNOTSUPP;
    inode->fsflags = flags;
    inode_touch(inode, /*atime=*/false, /*mtime=*/false, /*ctime=*/true);
    return 0;
}

const struct inode_ops tmpfs_node_inode_ops = {
    .setattr = tmpfs_setattr,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .removexattr = tmpfs_removexattr,
    .destroy = tmpfs_inode_destroy,
};

static int tmpfs_readlink(struct inode *inode, char **out)
{
    *out = strdup(inode->link);
    return *out ? 0 : -ENOMEM;
}

const struct inode_ops tmpfs_link_inode_ops = {
    .readlink = tmpfs_readlink,
    .setattr = tmpfs_setattr,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .removexattr = tmpfs_removexattr,
    .destroy = tmpfs_inode_destroy,
};
