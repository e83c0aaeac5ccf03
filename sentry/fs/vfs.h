/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual file system: super -> inode <- dentry <- path (mount, dentry) <- file <- fdtable.
 *
 * The shape is Linux's, so that path_resolution(7) and the man pages can be followed line by line:
 *   super   one instance of a file system
 *   inode   one object; holds the attributes that stat reports
 *   dentry  one name in one directory; positive (inode) or negative (cached absence)
 *   mount   one place where a super's subtree is visible; belongs to one mount namespace
 *   file    one open file description
 *
 * Who checks what. vfs_* functions (this header) do the permission checks, mount flags and limits
 * with the calling task's credentials, then call the ops; ops implement the bare action and may
 * trust that names are 1..255 bytes, without '/' or NUL, not "." or "..", and that locks are held
 * as stated. All may block and hold no lock above RANK_MM unless stated. See fs/README.md.
 */
#pragma once

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "platform/base/refs.h"
#include "platform/base/tree.h"
#include "sentry/abi/ioctl.h"
#include "sentry/abi/types.h"
#include "sentry/core/curr.h"
#include "sentry/core/sleep.h"
#include "sentry/mm/iov_iter.h"
#include "sentry/mm/mappable.h"

struct dentry;
struct file;
struct inode;
struct mount;
struct mntns;
struct super;

/* A place in the mount tree; holds a reference on both unless said. */
struct path {
    struct mount *mnt;
    struct dentry *dentry;
};

struct lx_timespec; /* sentry/abi/time.h: {int64_t sec, nsec} */

struct fs_time {
    int64_t sec;
    uint32_t nsec;
};
struct fs_time fs_time_now(void); /* CLOCK_REALTIME, coarse is fine */

/* What stat and statx report; also what setattr changes (mask of ATTR_*). */
struct fs_attr {
    uint32_t mask; /* setattr: which fields; getattr: ATTR_BTIME when btime is known */
    uint64_t ino;
    uint32_t mode; /* type and permission bits */
    uint32_t nlink;
    lx_uid_t uid; /* kernel ids */
    lx_gid_t gid;
    lx_dev_t dev, rdev;
    uint64_t size, blocks; /* blocks of 512 */
    uint32_t blksize;
    struct fs_time atime, mtime, ctime, btime;
};
#define ATTR_MODE      0x001u
#define ATTR_UID       0x002u
#define ATTR_GID       0x004u
#define ATTR_SIZE      0x008u
#define ATTR_ATIME     0x010u /* to fs_attr.atime */
#define ATTR_MTIME     0x020u
#define ATTR_ATIME_NOW 0x040u
#define ATTR_MTIME_NOW 0x080u
#define ATTR_CTIME     0x100u
#define ATTR_KILL_SUID 0x200u /* clear set-id bits as a write or chown does */
#define ATTR_BTIME     0x400u

struct fs_statfs {
    uint64_t type, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize, flags;
    uint64_t fsid;
};

/* One directory entry for readdir; false: the buffer is full, stop before this one. */
struct dir_emit {
    bool (*entry)(struct dir_emit *d, const char *name, size_t len, uint64_t ino, uint8_t type,
                  lx_loff_t next_pos);
};

/* ---- super ------------------------------------------------------------------------------- */

struct super_ops {
    int (*statfs)(struct super *s, struct fs_statfs *out); /* required */
    int (*sync)(struct super *s);                          /* [0] */
    /* Last mount gone; free private data. */
    void (*destroy)(struct super *s); /* [nothing] */
    /* Mount options as /proc/mounts shows them (",size=..."). */
    size_t (*show_options)(struct super *s, char *buf, size_t size); /* [""] */
    /* mount -o remount with new options (the read-only flag is the vfs's). [options are ignored] */
    int (*remount)(struct super *s, const char *options);
};

/* Lifetime: refcounted by mounts, dentries' root and inodes (super_get/super_put).
 * Keys: I immutable */
struct super {
    struct refs refs;
    const struct super_ops *ops; /* I */
    const char *type;            /* I: "tmpfs", as /proc/mounts prints it */
    lx_dev_t dev;                /* I: anonymous device number, vfs_anon_dev() */
    struct dentry *root;         /* I after mount, +1 */
    uint32_t flags;              /* SUPER_* */
    struct mutex rename_lock;    /* rank RENAME: serialises cross-directory directory renames */
    struct userns *userns;       /* I, +1 */
    atomic_uint mounts;          /* a: struct mounts of it; at 0 again the super is killed */
};
#define SUPER_READONLY        1u
#define SUPER_NOEXEC          2u /* never executable (proc, sys) */
#define SUPER_NODEV           4u
#define SUPER_NOSUID          8u
#define SUPER_LOWER           16u  /* lies below an overlay: OVL_LOWER lock ranks */
#define SUPER_REVALIDATE      32u  /* names change behind our back: ask ops->revalidate each time */
#define SUPER_STICKY_NEGATIVE 64u  /* negative dentries stay valid (exclusive) */
#define SUPER_STACKED         128u /* a guest's overlay over our own file systems: OVL_TOP_* ranks */
#define SUPER_NUMBER_HANDLES  256u /* file handles are the inode's number and no more */

int MUST_CHECK super_init(struct super *s, const struct super_ops *ops, const char *type);
struct super *super_get(struct super *s);
void super_put(struct super *s);
/* Lets go of s->root and the cached dentries, so that the references that inodes hold end. Done by
 * the last mount; a super that is never mounted (layers of an overlay) needs it from its user. */
void super_kill(struct super *s);
lx_dev_t vfs_anon_dev(void);

/* ---- inode ------------------------------------------------------------------------------- */

/*
 * Directory ops: dir's lock is held (rank DIR; for rename both, parents first) by the caller,
 * except for lookup of a SUPER that says otherwise; child dentries passed in are unhashed or
 * negative and stay pinned. An op that creates calls dentry_instantiate(child, inode) itself before
 * returning 0. Attribute changes follow Linux: the op updates mtime/ctime/nlink of every inode it
 * touches.
 */
struct inode_ops {
    /* Finds name: *out is a +1 inode, or NULL for "does not exist" (return 0). [-ENOTDIR] */
    int (*lookup)(struct inode *dir, const char *name, size_t len, struct inode **out);
    /* Hint before a walk of several components from parent: may fill the dcache with dentries
     * (d_add) in one round trip. names[0] is not in the dcache. No lock held. [skipped] */
    void (*prefetch)(struct inode *dir, struct dentry *parent, const char *rest, size_t len);
    int (*create)(struct inode *dir, struct dentry *child, uint32_t mode); /* [-EACCES], regular */
    int (*mkdir)(struct inode *dir, struct dentry *child, uint32_t mode);  /* [-EPERM] */
    int (*mknod)(struct inode *dir, struct dentry *child, uint32_t mode,
                 lx_dev_t rdev);                                                 /* [-EPERM] */
    int (*symlink)(struct inode *dir, struct dentry *child, const char *target); /* [-EPERM] */
    int (*link)(struct inode *target, struct inode *dir, struct dentry *child);  /* [-EPERM] */
    int (*unlink)(struct inode *dir, struct dentry *child);                      /* [-EPERM] */
    int (*rmdir)(struct inode *dir, struct dentry *child);                       /* [-EPERM] */
    /* flags: LX_RENAME_NOREPLACE is handled by the caller; EXCHANGE, WHITEOUT passed on (-EINVAL).
     */
    int (*rename)(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
                  struct dentry *new_child, uint32_t flags); /* [-EPERM] */
    /* An unnamed file (O_TMPFILE). [-EOPNOTSUPP] */
    int (*tmpfile)(struct inode *dir, uint32_t mode, struct inode **out);
    /* Target string, malloc'ed. [-EINVAL] */
    int (*readlink)(struct inode *inode, char **out);
    /* Magic link (/proc/PID/fd/N, exe, cwd): jumps straight to *out (+1). Used instead of readlink
     * when following. [follow readlink's text] */
    int (*follow)(struct inode *inode, struct path *out);
    /* Refreshes inode->attr fields from the source (remote files). [inode->attr is the truth] */
    int (*getattr)(struct inode *inode);
    /* Applies attr->mask; the caller checked permission and holds inode->lock. [updates attr only]
     */
    int (*setattr)(struct inode *inode, const struct fs_attr *attr);
    /* [generic mode/ACL-less check against inode->attr] mask: MAY_*. */
    int (*permission)(struct inode *inode, const struct cred *cred, uint32_t mask);
    /* Makes an open file of this inode; fills *out (+1). Generic parts (flags, path, cred) are set
     * by the caller afterwards. cred and access were checked. Required for anything that opens. */
    int (*open)(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out);
    /* xattr(7): names with prefix, namespaces were permission-checked. [-EOPNOTSUPP] */
    ssize_t (*getxattr)(struct inode *inode, const char *name, void *buf, size_t size);
    int (*setxattr)(struct inode *inode, const char *name, const void *value, size_t size,
                    uint32_t flags);
    ssize_t (*listxattr)(struct inode *inode, char *buf, size_t size);
    int (*removexattr)(struct inode *inode, const char *name);
    /* Stores LX_FS_*_FL in inode->fsflags, or -EOPNOTSUPP for what it cannot keep. The caller
     * checked permission and holds inode->lock. [the file system keeps none] */
    int (*set_fsflags)(struct inode *inode, uint32_t flags);
    /* Is a cached dentry still right? false: drop it. Only with SUPER_REVALIDATE. child may be
     * negative; dir's lock may or may not be held. [true] */
    bool (*revalidate)(struct inode *dir, struct dentry *child);
    /* Last reference gone; frees the inode (embedded). Required. May block; no lock held. */
    void (*destroy)(struct inode *inode);
};

struct flock_ctx;   /* fs/flock.c */
struct inotify_set; /* fs/inotify.c */

/* Lifetime: refcounted (inode_get/inode_put), embedded in each file system's own inode.
 * Keys: I immutable; l ->lock; a atomic */
struct inode {
    struct refs refs;
    const struct inode_ops *ops; /* I */
    struct super *super;         /* I, +1 */
    struct mutex lock;   /* rank DIR for directories, INODE for others, OVL_LOWER below overlays */
    struct fs_attr attr; /* l for writers; single fields are read without; times: see below */
    struct mappable map; /* regular files: ops set by the file system, else NULL ops */
    _Atomic(struct flock_ctx *) flocks;    /* a, created on first lock */
    _Atomic(struct inotify_set *) watches; /* a, created on first watch */
    atomic_int write_count; /* a: >0 writers, <0 deny-write (running executables): ETXTBSY */
    void *pipe;             /* FIFO state (fs/pipe), l */
    void *unix_sock;        /* bound AF_UNIX socket (net/unix), under SOCK_TABLE */
    uint32_t flags;         /* INODE_* */
    atomic_uint fsflags;    /* a: LX_FS_*_FL, written under l; see fileattr.c */
    /* Symlink target when it never changes: owned, freed by inode_destroy_generic. Set at creation,
     * or by the vfs after the first readlink of an INODE_CACHE_LINK inode. Walks follow it without
     * ops. */
    _Atomic(char *) link; /* a: NULL -> set once */
};
#define INODE_IMMUTABLE_SIZE 1u /* truncate is refused with -EINVAL (proc) */
#define INODE_NO_ATIME       2u
#define INODE_LINKABLE       8u /* O_TMPFILE without O_EXCL: may be linked although nlink is 0 */
#define INODE_CACHE_LINK     4u /* symlink whose text never changes: see link */

/* Fills the generic part; refs = 1. mode decides the lock's rank. */
void inode_init(struct inode *i, struct super *s, const struct inode_ops *ops, uint32_t mode);
void inode_destroy_generic(struct inode *i); /* from ops->destroy */
struct inode *inode_get(struct inode *i);
void inode_put(struct inode *i);
uint64_t inode_new_ino(void);
static inline uint32_t inode_type(const struct inode *i)
{
    return i->attr.mode & 0170000u;
}
#define MAY_EXEC  1u
#define MAY_WRITE 2u
#define MAY_READ  4u
int MUST_CHECK inode_permission(struct inode *i,
                                uint32_t mask); /* caller's fsuid: -EACCES, -EROFS */
int MUST_CHECK inode_permission_cred(struct inode *i, const struct cred *c, uint32_t mask);
bool inode_owner_or_capable(const struct inode *i);
static inline bool inode_is_append(const struct inode *i)
{
    return atomic_load_explicit(&i->fsflags, memory_order_relaxed) & LX_FS_APPEND_FL;
}
static inline bool inode_is_immutable(const struct inode *i)
{
    return atomic_load_explicit(&i->fsflags, memory_order_relaxed) & LX_FS_IMMUTABLE_FL;
}
/* The caller has cap and its user namespace maps the inode's owners. */
bool inode_capable(const struct inode *i, int cap);
/* What runs when ops->permission is NULL: for ops that add to it. */
int MUST_CHECK inode_permission_generic(struct inode *i, const struct cred *c, uint32_t mask);
/* Owner, mode (set-gid directories) and times of a new child of dir with the caller's credentials.
 */
void inode_init_owner(struct inode *child, const struct inode *dir, uint32_t mode);
/* A time is two words. Once others know the inode, its times are copied and stored between these: one of a
 * few locks (INODE_TIMES), never two at a time. */
void inode_times_lock(const struct inode *i) NO_THREAD_SAFETY;
void inode_times_unlock(const struct inode *i) NO_THREAD_SAFETY;
void inode_touch(struct inode *i, bool atime, bool mtime, bool ctime);

/* ---- dentry ------------------------------------------------------------------------------ */

/* Lifetime: refcounted (dentry_get/dentry_put); unreferenced ones stay cached on an LRU.
 * Keys: I immutable; d dcache lock; r atomic */
struct dentry {
    struct refs refs;
    struct super *super;   /* I */
    struct dentry *parent; /* d, +1; itself for roots */
    /* d to change it, a: read without; +1. NULL: negative. Changes only negative <-> positive, under the dir
     * lock, and to negative only while nobody else holds the dentry. */
    struct inode *_Atomic inode;
    char *name;               /* d */
    uint32_t name_len, hash;  /* d */
    atomic_uint flags;        /* d: DENTRY_*; looked at without */
    struct list children;     /* d */
    struct list sibling;      /* d */
    struct dentry *hash_next; /* d */
    struct list lru;          /* d */
    uint64_t fs_data;         /* for the file system (generation, revalidation time) */
};
#define DENTRY_HASHED  1u
#define DENTRY_MOUNTED 2u /* something is mounted on it in some namespace */
#define DENTRY_ROOT    4u

struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
/* Root dentry of a super; takes over the inode reference. */
int MUST_CHECK dentry_make_root(struct super *s, struct inode *root_take, struct dentry **out);
/* A nameless dentry for anonymous files (pipe:[1], memfd:x), shown by d_path as name. */
int MUST_CHECK dentry_make_anon(struct inode *inode_take, const char *name, struct dentry **out);
/* Cached child, +1 or NULL. */
struct dentry *dentry_lookup(struct dentry *parent, const char *name, size_t len);
/* Inserts (or finds) the child; inode_take may be NULL (negative). Used by prefetch and lookup. */
int MUST_CHECK dentry_add(struct dentry *parent, const char *name, size_t len,
                          struct inode *inode_take, struct dentry **out);
void dentry_instantiate(struct dentry *d, struct inode *inode_take);
/* Forget a name whose file changed behind our back (with its subtree). */
void dentry_drop(struct dentry *d);
/* Parent directory's inode (+1) and name of d right now; false for roots and nameless dentries. */
bool dentry_parent_snapshot(struct dentry *d, struct inode **out_dir, char name[256]);
/* The vfs does the tree work after ops->unlink/rmdir/rename succeeded; file systems need not,
 * except for trees that no walk goes over (layers of an overlay): */
/* After unlink/rmdir: the name goes, holders keep a nameless file. Dir lock held. */
void dentry_delete(struct dentry *d);
/* After rename: d gets this name; what had it loses it. Dir locks held. -ENOMEM (d was dropped). */
int dentry_move(struct dentry *d, struct dentry *new_parent, const char *name, size_t len);

/* ---- mount, path, fs_ctx ------------------------------------------------------------------- */

void path_get(const struct path *p);
void path_put(struct path *p); /* clears it; fine when empty */
static inline bool path_equal(const struct path *a, const struct path *b)
{
    return a->mnt == b->mnt && a->dentry == b->dentry;
}

#define MOUNT_READONLY   0x01u
#define MOUNT_NOSUID     0x02u
#define MOUNT_NODEV      0x04u
#define MOUNT_NOEXEC     0x08u
#define MOUNT_NOATIME    0x10u
#define MOUNT_NODIRATIME 0x20u
#define MOUNT_RELATIME   0x40u
#define MOUNT_LOCKED                                                                               \
    0x80u /* came with one above it from a more privileged namespace: stays where it is */
#define MOUNT_NOSYMFOLLOW 0x100u
#define MOUNT_FLAGS_LOCKED                                                                         \
    0x200u /* came from a more privileged namespace: keeps its restrictions */

uint32_t mount_flags(const struct mount *m);
struct super *mount_super(const struct mount *m);
uint32_t mount_id(const struct mount *m);        /* of mountinfo, statx, fdinfo; 0 for NULL */
uint64_t mount_unique_id(const struct mount *m); /* never used again: statmount(2) */

/* A file system that mount(2) knows. source and options are hostile strings. */
struct fs_type {
    const char *name;
    uint32_t flags; /* FS_TYPE_* */
    int (*mount)(const struct fs_type *type, const char *source, const char *options,
                 uint32_t super_flags, struct super **out);
};
#define FS_TYPE_USERNS 1u /* may be mounted with CAP_SYS_ADMIN in an own user namespace */
#define FS_TYPE_SHOWS  2u /* there only what the namespace shows of it already: see mntns_hides */
extern const struct fs_type *const g_fs_types[]; /* NULL-terminated, in sentry/boot */

/* Root, working directory and umask: what CLONE_FS shares. Lifetime: refcounted. */
struct fs_ctx;
int MUST_CHECK fs_ctx_new(const struct path *root, const struct path *cwd, uint32_t umask,
                          struct fs_ctx **out);
int MUST_CHECK fs_ctx_copy(struct fs_ctx *old, struct fs_ctx **out);
struct fs_ctx *fs_ctx_get(struct fs_ctx *c);
void fs_ctx_put(struct fs_ctx *c);
void fs_ctx_root(struct fs_ctx *c, struct path *out); /* +1 */
void fs_ctx_cwd(struct fs_ctx *c, struct path *out);  /* +1 */
void fs_ctx_set_root(struct fs_ctx *c, const struct path *p);
void fs_ctx_set_cwd(struct fs_ctx *c, const struct path *p);
uint32_t fs_ctx_umask(struct fs_ctx *c);
uint32_t fs_ctx_set_umask(struct fs_ctx *c, uint32_t umask); /* returns the old one */

/* Mount namespace. Lifetime: refcounted. */
int MUST_CHECK mntns_new(struct super *root_super, uint32_t mount_flags, struct mntns **out);
/* CLONE_NEWNS: copies the tree for owner; *fs's root and cwd move to the copies. */
int MUST_CHECK mntns_copy(struct mntns *old, struct userns *owner, struct fs_ctx *fs,
                          struct mntns **out);
struct mntns *mntns_get(struct mntns *ns);
void mntns_put(struct mntns *ns);
void mntns_root(struct mntns *ns, struct path *out); /* +1 */
/* For boot and mount(2): no permission checks. */
int MUST_CHECK vfs_mount_super(struct super *s, struct dentry *root, const struct path *where,
                               uint32_t flags, const char *source);
/* /proc/PID/mounts, mountinfo, mountstats in the namespace, as seen from root. Appends to a growing
 * buffer. */
enum mounts_format { MOUNTS_MOUNTS, MOUNTS_MOUNTINFO, MOUNTS_MOUNTSTATS };
int mntns_format(struct mntns *ns, const struct path *root, enum mounts_format format, char **out,
                 size_t *out_size);

/* sync(2): every file system of the namespace. */
void vfs_sync_all(struct mntns *ns);
/* +1, or NULL when the namespace has none with that device number. */
struct super *vfs_super_by_dev(struct mntns *ns, lx_dev_t dev);

/* ---- path walk --------------------------------------------------------------------------- */

#define WALK_FOLLOW       0x01u /* follow a symlink in the last component */
#define WALK_DIRECTORY    0x02u /* the result must be a directory: -ENOTDIR */
#define WALK_EMPTY        0x04u /* "" names the starting point (AT_EMPTY_PATH) */
#define WALK_NO_XDEV      0x08u /* openat2 RESOLVE_* */
#define WALK_NO_MAGIC     0x10u
#define WALK_NO_SYMLINKS  0x20u
#define WALK_BENEATH      0x40u
#define WALK_IN_ROOT      0x80u
#define WALK_CACHED       0x100u
#define WALK_NO_AUTOMOUNT 0x200u

#define LX_AT_FDCWD (-100)

/* name: sentry memory. dirfd as the guest gave it. *out is +1. Errors as path_resolution(7). */
int MUST_CHECK vfs_walk(int dirfd, const char *name, uint32_t flags, struct path *out);
/* Same from an explicit start (loader, mounts at boot). */
int MUST_CHECK vfs_walk_at(const struct path *start, const char *name, uint32_t flags,
                           struct path *out);
/* The parent directory of the last component plus that component, for create/unlink/rename.
 * *out_last points into name. last_type tells ".", "..", "/" apart (-EEXIST/-EBUSY/-EINVAL rules).
 */
enum last_type { LAST_NORM, LAST_DOT, LAST_DOTDOT, LAST_ROOT };
struct walk_last {
    const char *name;
    size_t len;
    enum last_type type;
    bool trailing_slash;
};
int MUST_CHECK vfs_walk_parent(int dirfd, const char *name, uint32_t flags, struct path *out_dir,
                               struct walk_last *out_last);
/* Name of p as seen from the caller's root: allocated string, " (deleted)" appended for unlinked.
 * Outside of that root: from the top of its mount tree, as Linux's d_path. -ENAMETOOLONG. */
int MUST_CHECK vfs_d_path(const struct path *p, char **out);
/* Some cached name of the inode numbered ino in the file system of anchor, +1; -ESTALE. */
int MUST_CHECK vfs_path_of_inode(const struct path *anchor, uint64_t ino, struct path *out);
/* Was it unlinked or removed? */
bool vfs_path_deleted(const struct path *p);
/* Name inside its file system (mountinfo's root field, logs). */
int MUST_CHECK vfs_dentry_path(struct dentry *d, char **out);
/* The same as vfs_d_path from an explicit root, nothing appended; *out_reached: p lies below root.
 */
int MUST_CHECK vfs_d_path_from(const struct path *p, const struct path *root, char **out,
                               bool *out_reached);

/* ---- operations with all checks (what system calls and boot use) ------------------------- */

struct open_how {
    uint32_t flags; /* LX_O_* */
    uint32_t mode;
    uint32_t walk; /* extra WALK_* from openat2 */
};
int MUST_CHECK vfs_open(int dirfd, const char *name, const struct open_how *how, struct file **out);
/* Opens an existing object (exec, overlay, /proc/fd). No create. */
int MUST_CHECK vfs_open_path(const struct path *p, uint32_t flags, const struct cred *cred,
                             struct file **out);
int vfs_mkdir(int dirfd, const char *name, uint32_t mode);
int vfs_mknod(int dirfd, const char *name, uint32_t mode, lx_dev_t dev);
/* bind(2) of AF_UNIX: creates the socket node and returns its path (+1). */
int MUST_CHECK vfs_mknod_path(int dirfd, const char *name, uint32_t mode, lx_dev_t dev,
                              struct path *out);
int vfs_symlink(const char *target, int dirfd, const char *name);
int vfs_link(int old_dirfd, const char *old_name, int new_dirfd, const char *new_name,
             uint32_t at_flags);
int vfs_unlink(int dirfd, const char *name);
int vfs_rmdir(int dirfd, const char *name);
int vfs_rename(int old_dirfd, const char *old_name, int new_dirfd, const char *new_name,
               uint32_t flags);
int vfs_getattr(const struct path *p, struct fs_attr *out);
/* Checks ownership/permission rules of chmod, chown, utimensat, truncate for attr->mask. */
int vfs_setattr(const struct path *p, const struct fs_attr *attr, struct file *f);
int vfs_readlink(const struct path *p, char **out);
/* xattr(7) with the name space rules. flags: LX_XATTR_*. -EOPNOTSUPP, -ENODATA, -ERANGE, -EPERM...
 */
ssize_t vfs_getxattr(struct inode *i, const char *name, void *buf, size_t size);
int vfs_setxattr(const struct path *p, const char *name, const void *value, size_t size,
                 uint32_t flags);
ssize_t vfs_listxattr(struct inode *i, char *buf, size_t size);
int vfs_removexattr(const struct path *p, const char *name);

/* What chattr(1) changes. */
struct fs_fileattr {
    uint32_t flags;  /* LX_FS_*_FL, in both forms */
    bool by_xflags;  /* set: the rest counts too */
    uint32_t xflags; /* LX_FS_XFLAG_* */
    uint32_t extsize, projid, cowextsize;
};
/* -ENOTTY: the file system keeps none. */
int MUST_CHECK vfs_fileattr_get(const struct path *p, struct fs_fileattr *out);
/* -ENOTTY, -EROFS, -EPERM, -EINVAL, -EOPNOTSUPP. */
int MUST_CHECK vfs_fileattr_set(const struct path *p, const struct fs_fileattr *attr);
/* ops->setattr under inode->lock, or the generic update; no permission checks, no notification. */
int MUST_CHECK inode_setattr(struct inode *i, const struct fs_attr *attr);
/* Applies mask to i->attr (all but SIZE) and ctime: what a local setattr op ends with. lock held.
 */
void inode_setattr_generic(struct inode *i, const struct fs_attr *attr);

/* ---- file -------------------------------------------------------------------------------- */

/*
 * A file's behaviour. Ops may block unless noted, no lock held on entry unless noted. NULL op: the
 * errno in brackets goes to the guest.
 */
struct file_ops {
    /* Reads at *pos, advances it. Bytes or -errno. [-EINVAL] */
    ssize_t (*read)(struct file *f, struct iov_iter *dst, lx_loff_t *pos);
    /* O_APPEND is the op's business (under the inode lock). RLIMIT_FSIZE: file_write_limit().
     * [-EINVAL] */
    ssize_t (*write)(struct file *f, struct iov_iter *src, lx_loff_t *pos);
    /* Current readiness (WAKE_* bits). Must not block; wakes come through *f->wq. [always ready] */
    uint32_t (*poll)(struct file *f);
    /* cmd and arg unvalidated. [-ENOTTY] */
    long (*ioctl)(struct file *f, uint32_t cmd, uaddr_t arg);
    /* Entries from f->pos on; the directory's lock is held. Emits "." and ".." too. [-ENOTDIR] */
    int (*readdir)(struct file *f, struct dir_emit *d);
    /* New position or -errno. [-ESPIPE]; file_seek_generic for regular ones. */
    lx_loff_t (*seek)(struct file *f, lx_loff_t off, int whence);
    /* What mmap maps. [inode's map when it has ops, else -ENODEV] */
    struct mappable *(*mappable)(struct file *f);
    int (*fsync)(struct file *f, bool data_only);                             /* [-EINVAL] */
    int (*fallocate)(struct file *f, int mode, lx_loff_t off, lx_loff_t len); /* [-EOPNOTSUPP] */
    /* A descriptor of it was closed (POSIX locks go separately). [0] */
    int (*flush)(struct file *f);
    /* O_NONBLOCK/O_APPEND/O_ASYNC changed through fcntl. [fine] */
    int (*set_flags)(struct file *f, uint32_t flags);
    /* F_SETOWN gave it somebody to signal. [nothing] */
    void (*owner_set)(struct file *f);
    /* /proc/PID/fdinfo lines after pos, flags, mnt_id, ino. [""] */
    size_t (*fdinfo)(struct file *f, char *buf, size_t size);
    /* Last reference gone; frees f (embedded). Required. */
    void (*release)(struct file *f);
};

struct fasync; /* F_SETOWN / O_ASYNC state, fs/file.c */

/* Lifetime: refcounted (file_get/file_put), embedded in each kind of file.
 * Keys: I immutable after open; p pos_lock; a atomic */
struct file {
    struct refs refs;
    const struct file_ops *ops; /* I */
    struct path path;           /* I, +1 */
    struct inode *inode;        /* I, +1: path.dentry's inode at open */
    const struct cred *cred;    /* I, +1: of the opener */
    atomic_uint flags;          /* a: LX_O_* access mode and status flags */
    struct mutex pos_lock;      /* rank FILE_POS */
    lx_loff_t pos;              /* p */
    struct waitq *wq; /* I: readiness queue; &own_wq unless the kind shares one (pipe, tty) */
    struct waitq own_wq;
    struct list epoll_items; /* epoll items watching it; RANK_LEAF lock in epoll.c */
    atomic_bool epoll_seen;  /* had such an item once: its last put asks under that lock */
    _Atomic(struct fasync *) fasync;
    uint32_t kind;    /* FILE_* bits */
    uint32_t refused; /* I: rights to later calls that a security module refused at open */
};
#define FILE_SEEKABLE   1u  /* has a position: lseek, pread */
#define FILE_STREAM     2u  /* no position at all: pread is -ESPIPE */
#define FILE_PATH       4u  /* O_PATH */
#define FILE_WRITER     8u  /* counts in inode->write_count */
#define FILE_DENY_WRITE 16u /* a running executable: took one from inode->write_count (ETXTBSY) */

/* Fills the generic part; refs = 1. Path and inode are taken by file_set_path. */
void file_init(struct file *f, const struct file_ops *ops, uint32_t flags);
void file_destroy_generic(struct file *f); /* from ops->release */
struct file *file_get(struct file *f);
void file_put(struct file *f);
/* An anonymous file (pipe, socket, eventfd): dentry "name" on the hidden mount of the inode's super.
 * inode_take NULL makes one of ANON_INODEFS with the given mode. */
int MUST_CHECK file_set_anon(struct file *f, const char *name, uint32_t mode,
                             struct inode *inode_take);
static inline bool file_readable(const struct file *f)
{
    uint32_t acc = f->flags & 3u;
    return (acc == 0 || acc == 2) && !(f->kind & FILE_PATH);
}
static inline bool file_writable(const struct file *f)
{
    uint32_t acc = f->flags & 3u;
    return (acc == 1 || acc == 2) && !(f->kind & FILE_PATH);
}
static inline bool file_nonblock(const struct file *f)
{
    return (f->flags & 04000u) || g_curr->nowait;
}
/* Does a write of the calling thread go to the end? O_APPEND, unless the write says otherwise. */
static inline bool file_appends(const struct file *f)
{
    return g_curr->append == APPEND_AS_OPENED ? (f->flags & 02000u)
                                              : g_curr->append == APPEND_ALWAYS;
}
/* Checked entry points: mode, limits, notifications, atime/mtime. Position at f->pos (locked when
 * shared) or at *pos. */
ssize_t file_read(struct file *f, struct iov_iter *dst);
ssize_t file_write(struct file *f, struct iov_iter *src);
ssize_t file_read_at(struct file *f, struct iov_iter *dst, lx_loff_t *pos);
ssize_t file_write_at(struct file *f, struct iov_iter *src, lx_loff_t *pos);
/* From sentry memory (loader, core dumps, overlay copy-up). */
ssize_t file_read_kernel(struct file *f, void *buf, size_t size, lx_loff_t pos);
ssize_t file_write_kernel(struct file *f, const void *buf, size_t size, lx_loff_t pos);
uint32_t file_poll(struct file *f);
lx_loff_t vfs_lseek(struct file *f, lx_loff_t off, int whence);
int vfs_readdir(struct file *f, struct dir_emit *d);
int vfs_fsync(struct file *f, bool data_only);
/* relatime and friends after a read. */
void file_accessed(struct file *f);
lx_loff_t file_seek_generic(struct file *f, lx_loff_t off, int whence);
/* Linux's noop_llseek: accepted, without effect (eventfd, epoll). */
lx_loff_t file_seek_nowhere(struct file *f, lx_loff_t off, int whence);
/* RLIMIT_FSIZE and s_maxbytes: how many of size bytes may be written at pos; -EFBIG (+SIGXFSZ). */
ssize_t file_write_limit(struct file *f, lx_loff_t pos, size_t size);
/* Sends SIGIO/the F_SETSIG signal when O_ASYNC is on. Any lock below TASKSET's rank order free. */
void file_kill_fasync(struct file *f, int code, uint32_t band);
/* Tells inotify/fanotify: mask IN_*. name NULL for the object itself. */
void fs_notify_file(struct file *f, uint32_t mask);
void fs_notify_dir(struct inode *dir, uint32_t mask, const char *name, uint32_t cookie);

/* ---- fdtable ----------------------------------------------------------------------------- */

/* Lifetime: refcounted. */
int MUST_CHECK fdtable_new(struct fdtable **out);
int MUST_CHECK fdtable_copy(struct fdtable *old, int max_fd,
                            struct fdtable **out); /* fds < max_fd */
/* The descriptor that stands for curr()->request_file in lookups by the calling task. */
#define FD_OF_REQUEST (-0x52554e)
struct fdtable *fdtable_get(struct fdtable *t);
void fdtable_put(struct fdtable *t);
/* +1 in *out. -EBADF; O_PATH files only through _any. */
int MUST_CHECK fdtable_lookup_get(struct fdtable *t, int fd, struct file **out);
int MUST_CHECK fdtable_lookup_any_get(struct fdtable *t, int fd, struct file **out);
/* Lowest free descriptor >= from below RLIMIT_NOFILE. Returns fd; consumes f on success. -EMFILE.
 */
int MUST_CHECK fdtable_install_take(struct fdtable *t, struct file *f, int from, bool cloexec);
/* dup2: replaces whatever was at fd. */
int MUST_CHECK fdtable_install_at_take(struct fdtable *t, struct file *f, int fd, bool cloexec);
/* Two-step install (accept, pipe): reserve first, then publish or cancel. */
int MUST_CHECK fdtable_reserve(struct fdtable *t, int from, bool cloexec);
void fdtable_publish_take(struct fdtable *t, int fd, struct file *f);
void fdtable_cancel(struct fdtable *t, int fd);
int fdtable_close(struct fdtable *t, int fd);
int fdtable_close_range(struct fdtable *t, uint32_t first, uint32_t last, bool cloexec_only);
int fdtable_get_cloexec(struct fdtable *t, int fd); /* 0, 1, -EBADF */
int fdtable_set_cloexec(struct fdtable *t, int fd, bool on);
void fdtable_close_on_exec(struct fdtable *t);
/* Does anybody else use this table (exec makes it private then)? */
bool fdtable_shared(struct fdtable *t);
/* Next used descriptor >= from, -1 at the end; *out +1. For /proc/PID/fd. */
int fdtable_next_get(struct fdtable *t, int from, struct file **out);
int fdtable_size(struct fdtable *t); /* FDSize of /proc/PID/status */
/* Lookup for the length of one system call of the calling task: no counting when its table is not
 * shared. Give it back with fd_borrow_put before closing or replacing descriptors. Not O_PATH. */
struct fd_borrow {
    struct file *file;
    bool counted;
};
int MUST_CHECK fdtable_borrow(int fd, struct fd_borrow *out);
static inline void fd_borrow_put(struct fd_borrow *b)
{
    if (b->counted)
        file_put(b->file);
}

/* Inverted needs, filled by kernel/ at boot. */
struct vfs_task_ops {
    /* Calls fn for the fs_ctx of every task (pivot_root moves their roots). No lock is held by fn's
     * caller that ranks at or after DCACHE; fn may block. */
    void (*for_each_fs)(void (*fn)(struct fs_ctx *, void *), void *arg);
};
extern const struct vfs_task_ops *g_vfs_task_ops; /* NULL: only the caller's */

/* The file systems that no one mounts, of files without a name. */
enum anon_fs {
    ANON_INODEFS,
    ANON_PIPEFS,
    ANON_SOCKFS,
    ANON_NSFS, /* its files may be bound to a name with mount(2) */
    ANON_FS_COUNT
};
/* An inode of one of them, refs 1. */
int MUST_CHECK vfs_anon_inode(enum anon_fs which, uint32_t mode, struct inode **out);
struct super *vfs_anon_super(enum anon_fs which);
bool vfs_super_is_anon(const struct super *s);

/* Boot: dcache, anonymous super. */
int vfs_init(void);
