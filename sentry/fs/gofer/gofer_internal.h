/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside sentry/fs/gofer only.
 *
 * Locks: gs->lock (rank GOFER) guards the tables and every "t" field; it is never held over a
 * request. Directory ops run under the directory's lock, which is what serialises changes of names
 * with the caches here: gs->changes moves under it, and what was asked before a change is not
 * believed after it.
 */
#pragma once

#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/fs/gofer/session.h"
#include "sentry/fs/vfs_internal.h"
#include "sentry/mm/hostmem.h"

#define GI_BUCKETS 4096u
/* Donated descriptors that are kept without an open file. */
#define DATA_CACHE_MAX 4096u
/* Shared trees: attributes that came with the walk of the same system call need not be asked again.
 */
#define FRESH_NS 1000000u

struct gofer_inode;
struct listing;

/* Lifetime: embedded in the refcounted super. Keys: I immutable; t ->lock; a atomic */
struct gofer_super {
    struct super super;
    struct gofer_session *session;         /* I, owned */
    bool exclusive, readonly;              /* I */
    struct mutex lock;                     /* rank GOFER */
    struct gofer_inode *table[GI_BUCKETS]; /* t: by (host dev, host ino) */
    struct list fids;                      /* t: inodes with a fid, least recently used last */
    uint32_t fid_count, fid_limit;         /* t; I */
    struct list data; /* t: inodes with a donated descriptor, least recently used last */
    uint32_t data_count, data_limit; /* t; I */
    uint64_t devs[16];               /* t: host devices seen; their index goes into inode numbers */
    uint32_t dev_count;              /* t */
    size_t listing_size;             /* t: bytes in cached listings */
    atomic_ulong changes;            /* a: moves with every request that changes names */
};

/* Lifetime: as struct inode. Keys: I immutable; t gs->lock; l inode.lock; a atomic */
struct gofer_inode {
    struct inode inode;
    struct gofer_super *gs;        /* I */
    struct gofer_inode *hash_next; /* t */
    uint64_t host_dev, host_ino;   /* I */
    uint32_t fid;                  /* t: GP_FID_NONE: bound again when needed */
    uint32_t fid_pins;             /* t: requests in progress that name it */
    struct list fid_link;          /* t */
    struct gofer_inode *parent;    /* t, +1 (of its inode); NULL for the root */
    char *name;                    /* t: NULL once no name is known (root, unlinked) */
    struct hostmem *data;          /* t, +1: donated descriptor or NULL */
    struct list data_link;         /* t */
    struct listing *listing;       /* t, +1: complete listing of a directory, exclusive only */
    atomic_uint misses;            /* a: lookups that found nothing and had no listing */
    unsigned looked_at;            /* t: entries of a listing that had no attributes */
    atomic_bool no_caps;    /* a: exclusive: it has no security.capability (exec asks each time) */
    _Atomic uint64_t fresh; /* a: shared: when the attributes came last, monotonic ns */
    atomic_uint reads;      /* a: of its data, about; see WINDOW_AFTER */
    atomic_bool dirty;      /* a: written through a descriptor: attributes are the host's */
};

static inline struct gofer_inode *gofer_inode(struct inode *i)
{
    return container_of(i, struct gofer_inode, inode);
}
static inline struct gofer_super *gofer_super(struct super *s)
{
    return container_of(s, struct gofer_super, super);
}

extern const struct inode_ops gofer_dir_ops, gofer_file_ops_inode, gofer_link_ops, gofer_other_ops;

/* ---- super.c: identity and fids ---- */

/* The inode of the object that attr describes, +1: found by host identity or made. fid_take (or
 * GP_FID_NONE) becomes its fid, or is clunked when it has one. target: of a symlink, else NULL. */
int MUST_CHECK gi_obtain(struct gofer_super *gs, struct gofer_inode *parent, const char *name,
                         size_t len, const struct gp_attr *attr, const struct gp_str *target,
                         uint32_t fid_take, struct gofer_inode **out);
/* A fid that stays bound until gi_unpin. May ask the gofer. -ESTALE when the object is not there.
 */
int MUST_CHECK gi_pin(struct gofer_inode *gi, uint32_t *out_fid);
void gi_unpin(struct gofer_inode *gi);
/* What a request that binds a fid can bring along. take reads it from the reply, when there was
 * such a request (the inode may have a fid already). */
struct gi_extra {
    uint16_t flags; /* GP_WALK_* */
    bool took;
    int (*take)(struct gi_extra *extra, struct gofer_slot *c);
};
int MUST_CHECK gi_pin_extra(struct gofer_inode *gi, struct gi_extra *extra, uint32_t *out_fid);
/* A fid number for a request that binds one; makes room when too many are bound. */
int MUST_CHECK gs_fid_alloc(struct gofer_super *gs, uint32_t *out);
/* The object got another name / lost this name. gi may be NULL for "not known". */
void gi_renamed(struct gofer_inode *gi, struct gofer_inode *dir, const char *name, size_t len);
void gi_unnamed(struct gofer_inode *gi, struct gofer_inode *dir, const char *name, size_t len);
/* attr from the wire into i->attr (lock held or the inode is not published yet). */
void gi_set_attr(struct gofer_inode *gi, const struct gp_attr *attr);
/* Inode number that the guest sees for a host object. */
uint64_t gs_guest_ino(struct gofer_super *gs, uint64_t dev, uint64_t ino);

/* ---- data.c: donated descriptors ---- */

/* +1 descriptor for reading, or for reading and writing. Asks the gofer when there is none. */
int MUST_CHECK gi_data_get(struct gofer_inode *gi, bool write, struct hostmem **out);
/* A donated descriptor came with a reply: checked, then kept. */
void gi_data_take(struct gofer_inode *gi, int fd, bool writable);
/* Drops the kept descriptor. */
void gi_data_drop(struct gofer_inode *gi);
/* Attributes from the host through the kept descriptor, if there is one. */
bool gi_data_stat(struct gofer_inode *gi);
extern const struct mappable_ops gofer_mappable_ops;
int gofer_open_regular(struct inode *inode, uint32_t flags, struct file **out);

/* ---- dir.c: listings ---- */

int gofer_open_directory(struct inode *inode, uint32_t flags, struct file **out);
/* Looks name up in the cached listing. LISTING_UNKNOWN when there is none. */
enum listing_answer { LISTING_UNKNOWN, LISTING_ABSENT, LISTING_HIT };
enum listing_answer gi_listing_find(struct gofer_inode *dir, const char *name, size_t len,
                                    struct gp_attr *out_attr);
/* Fetches and keeps the listing (hint; errors are dropped). Directory lock held. */
void gi_listing_load(struct gofer_inode *dir, bool with_attr);
/* To be told of each entry that is looked at without an answer from the listing. True once, when it
 * pays to load the listing with attributes. */
bool gi_listing_lacks_attr(struct gofer_inode *dir);
/* A name in dir changed. */
void gi_listing_drop(struct gofer_inode *dir);
void listing_put(struct listing *l);

/* ---- names.c, change.c, xattr.c: ops ---- */

int gofer_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
void gofer_prefetch(struct inode *dir, struct dentry *parent, const char *rest, size_t len);
bool gofer_revalidate(struct inode *dir, struct dentry *child);
int gofer_create(struct inode *dir, struct dentry *child, uint32_t mode);
int gofer_tmpfile(struct inode *dir, uint32_t mode, struct inode **out);
int gofer_mkdir(struct inode *dir, struct dentry *child, uint32_t mode);
int gofer_mknod(struct inode *dir, struct dentry *child, uint32_t mode, lx_dev_t rdev);
int gofer_symlink(struct inode *dir, struct dentry *child, const char *target);
int gofer_link(struct inode *target, struct inode *dir, struct dentry *child);
int gofer_unlink(struct inode *dir, struct dentry *child);
int gofer_rmdir(struct inode *dir, struct dentry *child);
int gofer_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
                 struct dentry *new_child, uint32_t flags);
int gofer_getattr(struct inode *inode);
int gofer_setattr(struct inode *inode, const struct fs_attr *attr);
ssize_t gofer_getxattr(struct inode *inode, const char *name, void *buf, size_t size);
int gofer_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                   uint32_t flags);
ssize_t gofer_listxattr(struct inode *inode, char *buf, size_t size);
int gofer_removexattr(struct inode *inode, const char *name);
int gofer_readlink(struct inode *inode, char **out);
