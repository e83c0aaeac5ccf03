/* SPDX-License-Identifier: Apache-2.0 */
/* Inside tmpfs: the super, the inode, the page tree. */
#pragma once

#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/tmpfs/page_tree.h"
#include "sentry/fs/tmpfs/tmpfs.h"

/* The size of a directory that Linux reports, per entry; "." and ".." are two. */
#define TMPFS_ENTRY_SIZE 20

/* Keys: I immutable; a atomic; l ->lock */
struct tmpfs_super {
    struct super super;
    uint32_t mode;                /* I, of the root when it was mounted, as are: */
    lx_uid_t uid;                 /* I */
    lx_gid_t gid;                 /* I */
    struct mutex lock;            /* rank FS_SUPER: link counts of files */
    uint64_t max_pages;           /* a by remount; 0: no limit */
    uint64_t max_inodes;          /* a by remount; 0: no limit */
    _Atomic uint64_t used_pages;  /* a */
    _Atomic uint64_t used_inodes; /* a */
};

/* Keys: D inode.lock of this directory */
struct tmpfs_dirent {
    RB_ENTRY(tmpfs_dirent) by_name, by_pos; /* D */
    struct tmpfs_inode *inode;              /* D, +1 */
    uint64_t pos;       /* D: readdir position, never reused in this directory */
    uint32_t hash, len; /* D */
    char *name;         /* D */
};
RB_HEAD(tmpfs_names, tmpfs_dirent);
RB_HEAD(tmpfs_positions, tmpfs_dirent);

struct tmpfs_xattr {
    struct list node;
    size_t size;
    char *name;
    uint8_t value[];
};

/* Keys: l inode.lock; m inode.map.lock; D inode.lock of a directory */
struct tmpfs_inode {
    struct inode inode;
    struct list xattrs; /* under super.lock */
    union {
        struct {
            struct page_tree pages; /* m */
            uint32_t seals;         /* l */
            bool shmem;             /* I: memfd or shared memory: seals apply */
        };
        struct {
            struct tmpfs_names names;         /* D */
            struct tmpfs_positions positions; /* D */
            uint64_t next_pos;                /* D */
            struct tmpfs_inode *parent;       /* D of parent, borrowed; itself for the root */
        };
    };
    struct list grave; /* tree teardown */
};

static inline struct tmpfs_inode *tmpfs_inode_of(struct inode *i)
{
    return container_of(i, struct tmpfs_inode, inode);
}
static inline struct tmpfs_super *tmpfs_super_of(const struct inode *i)
{
    return container_of(i->super, struct tmpfs_super, super);
}

extern const struct inode_ops tmpfs_dir_inode_ops, tmpfs_file_inode_ops, tmpfs_link_inode_ops,
    tmpfs_node_inode_ops;
extern const struct file_ops tmpfs_dir_file_ops, tmpfs_file_ops;
extern const struct mappable_ops tmpfs_mappable_ops;

/* dir NULL: owner is the caller. -ENOSPC, -ENOMEM. */
int MUST_CHECK tmpfs_inode_new(struct super *s, const struct inode *dir, uint32_t mode,
                               lx_dev_t rdev, struct tmpfs_inode **out);
void tmpfs_inode_destroy(struct inode *i);
/* Takes the names out of a directory that nobody can reach, putting the inodes' references without
 * recursion. */
void tmpfs_dir_teardown(struct tmpfs_inode *dir);
int tmpfs_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out);
int tmpfs_setattr(struct inode *inode, const struct fs_attr *attr);
/* Resizes; inode.lock held. */
int MUST_CHECK tmpfs_truncate(struct tmpfs_inode *ti, uint64_t size);
void tmpfs_free_pages(struct tmpfs_inode *ti);
bool MUST_CHECK tmpfs_charge(struct tmpfs_super *ts, uint64_t pages);
void tmpfs_uncharge(struct tmpfs_super *ts, uint64_t pages);
int tmpfs_fallocate(struct file *f, int mode, lx_loff_t off, lx_loff_t len);

ssize_t tmpfs_getxattr(struct inode *inode, const char *name, void *buf, size_t size);
int tmpfs_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                   uint32_t flags);
ssize_t tmpfs_listxattr(struct inode *inode, char *buf, size_t size);
int tmpfs_removexattr(struct inode *inode, const char *name);
int tmpfs_set_fsflags(struct inode *inode, uint32_t flags);
void tmpfs_xattrs_free(struct tmpfs_inode *ti);
