/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the vfs only: the dcache, struct mount, the walk state. See README.md for the picture.
 *
 * One lock, g_dcache.lock, guards every link of the name space that a walk follows: hash chains,
 * parent/children, names, dentry->inode, the mount hash and the position of mounts. Writers of the
 * mount tree hold g_mount_lock as well. So a walk over cached names takes that one lock once.
 */
#pragma once

#include "sentry/abi/fcntl.h"
#include "sentry/abi/inotify.h"
#include "sentry/abi/stat.h"
#include "sentry/core/curr.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/vfs.h"

/* ---- dcache ------------------------------------------------------------------------------- */

#define DENTRY_REFERENCED 0x100u /* used since the LRU hand passed */
#define DENTRY_ANON       0x200u /* name is what d_path shows; no parent */

#define DCACHE_LIMIT   16384u
#define DCACHE_BUCKETS 16384u

/* Keys: d ->lock */
struct dcache {
    struct mutex lock;     /* rank DCACHE */
    struct dentry **table; /* d */
    struct list lru;       /* d: hashed dentries, the hand moves from the tail */
    struct list dead;      /* d: unhashed by dentry_drop, the cache's reference still to be put */
    uint32_t hashed;       /* d */
    atomic_bool want_reap; /* a: dead is not empty, or too many are hashed */
};
extern struct dcache g_dcache;

uint32_t dentry_name_hash(const char *name, size_t len);
/* No reference taken. */
struct dentry *dentry_lookup_locked(struct dentry *parent, const char *name, size_t len,
                                    uint32_t hash) REQUIRES(g_dcache.lock);
/* An unhashed negative child for a create op; +1. */
int MUST_CHECK dentry_alloc_child(struct dentry *parent, const char *name, size_t len,
                                  struct dentry **out);
/* The dentry of an O_TMPFILE: below parent in paths, but not findable; takes the inode. */
int MUST_CHECK dentry_make_tmpfile(struct dentry *parent, struct inode *inode_take,
                                   struct dentry **out);
/* After rename: d takes target's place; target goes. exchange: they swap. Dir locks held. */
void dentry_replace(struct dentry *d, struct dentry *target, bool exchange);
/* Is d below (or equal to) ancestor? */
bool dentry_is_below_locked(const struct dentry *d, const struct dentry *ancestor)
    REQUIRES(g_dcache.lock);
bool dentry_is_below(const struct dentry *d, const struct dentry *ancestor);
/* Puts what dentry_drop left and trims the cache. Called at the end of operations, no lock held. */
void dcache_reap(void);
/* Drops every unused dentry of s (umount). No lock held. */
void dcache_drop_super(struct super *s);
/* Positive and still named. */
bool dentry_unlinked(struct dentry *d);
static inline bool dentry_is_dir(const struct dentry *d)
{
    return d->inode && LX_S_ISDIR(d->inode->attr.mode);
}

/* ---- mounts ------------------------------------------------------------------------------- */

/* Lifetime: refcounted (mount_get/mount_put): paths, and the namespace while attached.
 * Keys: I immutable; M g_mount_lock and g_dcache.lock for writing, either for reading; a atomic;
 * m g_mount_lock */
struct mount {
    struct refs refs;
    struct super *super;       /* I, +1 */
    struct dentry *root;       /* I, +1 */
    struct mount *parent;      /* M, +1; NULL: namespace root or detached */
    struct dentry *mountpoint; /* M, +1; in parent */
    struct mntns *ns;          /* M, borrowed; NULL: detached */
    struct mount *hash_next;   /* M */
    struct list children;      /* m */
    struct list child;         /* m */
    struct list ns_node;       /* m: mntns.mounts in mount order */
    atomic_uint flags;         /* a: MOUNT_* */
    int id;                    /* I */
    char *source;              /* I: what /proc/mounts shows */
    uint32_t propagation;  /* m: LX_MS_SHARED, _SLAVE (both possible), _UNBINDABLE or 0 private */
    uint32_t peer_group;   /* m: id of the shared group, 0 none */
    uint32_t master_group; /* m: id of the group this one receives from, 0 none */
    bool expiring;         /* m: marked by MNT_EXPIRE */
    bool receives;         /* m: scratch of propagation.c */
    struct mount *copy_of; /* m: scratch of mount_copy_tree, compared only */
    struct list attached;  /* m: g_attached_mounts */
};

/* Keys: m g_mount_lock */
struct mntns {
    struct refs refs;
    struct mount *root;    /* M, +1 */
    struct list mounts;    /* m */
    struct userns *userns; /* I, +1 */
    uint32_t count;        /* m */
};

extern struct mutex g_mount_lock; /* rank NAMESPACE */

/* A mount that is nowhere yet. */
int MUST_CHECK mount_alloc(struct super *s, struct dentry *root, uint32_t flags, const char *source,
                           struct mount **out);
/* What is mounted on (m, d), or NULL; no reference. */
struct mount *mount_lookup_locked(const struct mount *m, const struct dentry *d)
    REQUIRES(g_dcache.lock);
/* -EROFS when the mount or its file system is read-only. */
int MUST_CHECK path_want_write(const struct path *p);
static inline bool mount_is_readonly(const struct mount *m)
{
    return (m->flags & MOUNT_READONLY) || (m->super->flags & SUPER_READONLY);
}
/* Has the caller's namespace something mounted on d? Then it cannot be removed or renamed. */
bool dentry_is_mountpoint_here(const struct dentry *d);
/* Would a mount of type show the caller's namespace what its owner, a more privileged one, covered or made
 * read-only in every mount of it? Linux: mount_too_revealing. */
bool mntns_hides(const struct fs_type *type, bool readonly);
/* d was removed: what other namespaces have mounted on it goes. No lock held. */
void mounts_leave_dentry(struct dentry *d);
/* Follows mounts stacked on *p (owned reference moves along). */
void path_follow_mounts(struct path *p);

/* ---- fs_ctx ------------------------------------------------------------------------------- */

struct dev_rules;

/* Keys: I immutable after the first task with it runs; c ->lock (the only user may read without) */
struct fs_ctx {
    struct refs refs;
    struct mutex lock;         /* rank FS_CTX */
    struct path root, cwd;     /* c */
    atomic_uint umask;         /* a */
    struct dev_rules *devices; /* I, +1 or NULL */
};
/* Replaces old by new_path wherever fs_ctx points at it (pivot_root). */
void fs_ctx_replace(struct fs_ctx *c, const struct path *old, const struct path *new_path);

/* ---- walk --------------------------------------------------------------------------------- */

#define WALK_MAX_LINKS 40

/*
 * State of one path walk. walk_begin, then walk_full or walk_to_parent (again after walk_push_link
 * when the last component is a link to follow), then walk_end.
 */
struct walk {
    struct path cur;  /* +1 when cur.dentry */
    struct path root; /* +1 when set: start of absolute names, end of ".." */
    uint32_t flags;   /* WALK_* */
    int dirfd;
    uint32_t links;   /* followed so far */
    const char *pos;  /* rest of the name */
    char *buf;        /* heap: rest after a link was expanded, or NULL */
    bool must_be_dir; /* a '/' followed the last component */
    bool prefetched;
    bool scoped; /* BENEATH or IN_ROOT */
    struct walk_last last;
};

int MUST_CHECK walk_begin(struct walk *w, int dirfd, const char *name, uint32_t flags);
void walk_begin_at(struct walk *w, const struct path *start, const char *name, uint32_t flags);
/* Resolves everything; w->cur is the result. */
int MUST_CHECK walk_full(struct walk *w);
/* Resolves all but the last component; w->cur is the directory, w->last the component. */
int MUST_CHECK walk_to_parent(struct walk *w);
/* w->cur is a directory, link a symlink in it whose text comes next, then the rest. Returns 1 when
 * a magic link jumped (w->cur is the target and nothing is left to resolve there). */
int MUST_CHECK walk_push_link(struct walk *w, struct dentry *link, const char *rest);
void walk_end(struct walk *w);
/* The child of dir by that name: positive or negative, +1. dir's lock is taken unless locked. */
int MUST_CHECK walk_lookup(struct dentry *dir, const char *name, size_t len, bool locked,
                           struct dentry **out);
/* A positive child from the cache alone; false when there is none. */
bool walk_lookup_cached(struct dentry *dir, const char *name, size_t len, struct dentry **out);

/* ---- operations --------------------------------------------------------------------------- */

/* Permission to add a name / to remove victim (sticky rule); MAY_WRITE|MAY_EXEC on dir included. */
int MUST_CHECK may_create(struct inode *dir);
int MUST_CHECK may_delete(struct inode *dir, struct dentry *victim, bool is_dir);
/* inotify: on the object and on its parent with its name. */
void fs_notify_dentry(struct dentry *d, uint32_t mask);
/* inotify: on dir about the name that a walk ended with (a dentry's own name may change any time).
 */
void fs_notify_name(struct inode *dir, uint32_t mask, const struct walk_last *last);
void fasync_free(struct file *f);
/* Drops the locks that closing a descriptor of f, or its last reference, releases. */
void flock_close_fd(struct file *f, const void *owner);
void flock_release_file(struct file *f);
void flock_ctx_free(struct inode *i);
void flock_init(void);
void vfs_mm_glue_init(void);
int MUST_CHECK inode_getattr(struct inode *i, struct fs_attr *out);
