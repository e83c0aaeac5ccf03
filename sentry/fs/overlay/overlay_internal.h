/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside sentry/fs/overlay only. "Real" means: of a layer.
 *
 * Locks, outermost first: the overlay inode's own lock (held by the vfs around ops), ovl->copyup,
 * the real directory's lock, the real inode's lock. os->lock guards the inode table and the names
 * (parent, name), and nothing is called under it.
 */
#pragma once

#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/vfs_internal.h"

#define OVL_LAYERS_MAX 500u /* Linux's limit of lower layers */
#define OVL_BUCKETS    4096u

#define OVL_XATTR_PREFIX   "trusted.overlay."
#define OVL_XATTR_OPAQUE   OVL_XATTR_PREFIX "opaque"
#define OVL_XATTR_REDIRECT OVL_XATTR_PREFIX "redirect"
#define OVL_XATTR_ORIGIN   OVL_XATTR_PREFIX "origin"

struct ovl_inode;

struct ovl_layer {
    struct path root;    /* I, +1; mnt NULL for layers that only we use */
    struct super *owned; /* I, +1: killed with the overlay; NULL for layers that a path names */
};

/* Lifetime: embedded in the refcounted super. Keys: I immutable; o ->lock */
struct ovl_super {
    struct super super;
    struct ovl_layer *layers;             /* I: layers[0] is the upper one */
    uint32_t layer_count;                 /* I: including layers[0] */
    bool has_upper;                       /* I */
    char *options;                        /* I: for show_options */
    struct mutex lock;                    /* rank FS_SUPER */
    struct ovl_inode *table[OVL_BUCKETS]; /* o: by real inode */
};

/*
 * An overlay inode stands on an upper dentry, or on lower ones, or (merged directories) on both.
 * Lifetime: as struct inode. Keys: I immutable; o os->lock; c ->copyup; a atomic
 */
struct ovl_inode {
    struct inode inode;
    struct ovl_super *os;           /* I */
    struct mutex copyup;            /* rank OVL_COPYUP or OVL_TOP_COPYUP */
    _Atomic(struct dentry *) upper; /* a, +1: NULL -> set once, under c */
    struct dentry **lowers;         /* I, +1 each: one for files, all merged ones for directories */
    uint32_t *layer_of;             /* I: index into os->layers of each lower */
    uint32_t lower_count;           /* I */
    const struct inode *key;        /* o: real inode in the table, NULL: not in it */
    struct ovl_inode *hash_next;    /* o */
    struct ovl_inode *parent;       /* o, +1 (inode); NULL for the root */
    char *name;                     /* o: NULL: unlinked (or the root) */
};

static inline struct ovl_inode *ovl_inode(struct inode *i)
{
    return container_of(i, struct ovl_inode, inode);
}
static inline struct ovl_super *ovl_super(struct super *s)
{
    return container_of(s, struct ovl_super, super);
}
/* The dentry that answers for attributes and data: upper, else the topmost lower. Borrowed: pinned
 * by the overlay inode. */
static inline struct dentry *ovl_real(const struct ovl_inode *oi)
{
    struct dentry *d = oi->upper;

    return d ? d : oi->lowers[0];
}
static inline struct inode *ovl_real_inode(const struct ovl_inode *oi)
{
    return ovl_real(oi)->inode;
}

extern const struct inode_ops ovl_dir_ops, ovl_node_ops;

/* ---- inode.c ---- */

/* What a lookup found in the layers. Owns its references. */
struct ovl_found {
    struct dentry *upper;
    struct dentry **lowers;
    uint32_t *layer_of;
    uint32_t lower_count, room;
};
void ovl_found_free(struct ovl_found *f);
int MUST_CHECK ovl_found_add(struct ovl_found *f, struct dentry *take, uint32_t layer);
/* The inode for it, +1. Takes over f's references. */
int MUST_CHECK ovl_inode_get(struct ovl_super *os, struct ovl_inode *parent, const char *name,
                             size_t len, struct ovl_found *f, struct inode **out);
void ovl_inode_destroy(struct inode *inode);
/* After copy-up: the upper inode is what it is found by. */
void ovl_inode_rekey(struct ovl_inode *oi, const struct inode *key);
void ovl_set_name(struct ovl_inode *oi, struct ovl_inode *parent, const char *name, size_t len);
void ovl_clear_name(struct ovl_inode *oi, struct ovl_inode *parent, const char *name, size_t len);
/* Attributes of the real inode into the overlay's. */
void ovl_attr_sync(struct ovl_inode *oi);
uint64_t ovl_guest_ino(uint32_t layer, uint64_t ino);
/* Inode number of an upper object: that of its origin, when it was copied up. */
uint64_t ovl_upper_ino(struct inode *upper);
bool ovl_is_whiteout(const struct inode *i);
bool ovl_is_opaque(struct inode *i);

/* ---- lookup.c ---- */

int ovl_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
void ovl_prefetch(struct inode *dir, struct dentry *parent, const char *rest, size_t len);
/* Would the lower layers show something under that name? */
int MUST_CHECK ovl_lower_has(struct ovl_inode *dir, const char *name, size_t len, bool *out);

/* ---- copyup.c ---- */

/* Makes oi->upper, its parents first. data_limit: bytes of data that are worth copying (a
 * truncation follows). -EROFS without an upper layer. */
int MUST_CHECK ovl_copy_up(struct ovl_inode *oi, uint64_t data_limit);
#define OVL_ALL_DATA UINT64_MAX
/* An open file of a layer's dentry, no checks. */
int MUST_CHECK ovl_open_real(struct dentry *d, uint32_t flags, struct file **out);

/* ---- dir.c ---- */

int ovl_open_dir(struct inode *inode, uint32_t flags, struct file **out);
/* 0, -ENOTEMPTY, or another error. Directory lock held. */
int MUST_CHECK ovl_dir_check_empty(struct ovl_inode *dir);
/* Removes the whiteouts in the upper part of an empty directory. */
int MUST_CHECK ovl_dir_clear_whiteouts(struct ovl_inode *dir);

/* ---- change.c, file.c, xattr.c: ops ---- */

int ovl_create(struct inode *dir, struct dentry *child, uint32_t mode);
int ovl_mkdir(struct inode *dir, struct dentry *child, uint32_t mode);
int ovl_mknod(struct inode *dir, struct dentry *child, uint32_t mode, lx_dev_t rdev);
int ovl_symlink(struct inode *dir, struct dentry *child, const char *target);
int ovl_link(struct inode *target, struct inode *dir, struct dentry *child);
int ovl_unlink(struct inode *dir, struct dentry *child);
int ovl_rmdir(struct inode *dir, struct dentry *child);
int ovl_tmpfile(struct inode *dir, uint32_t mode, struct inode **out);
int ovl_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
               struct dentry *new_child, uint32_t flags);
int ovl_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out);
ssize_t ovl_getxattr(struct inode *inode, const char *name, void *buf, size_t size);
int ovl_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                 uint32_t flags);
ssize_t ovl_listxattr(struct inode *inode, char *buf, size_t size);
int ovl_removexattr(struct inode *inode, const char *name);
/* The overlay's own marks on layers. Without the real inode's lock: only the overlay reaches it,
 * and the parent's lock, of the same class, may be held. */
int MUST_CHECK ovl_mark_set(struct inode *real, const char *name, const void *value, size_t size);
