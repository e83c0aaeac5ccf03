/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame that procfs and sysfs share: a file system made of static tables. A table row names an
 * entry, its mode and the functions behind it; directories whose names come from live objects
 * (pids, descriptors, CPUs) add a pseudo_dir. Text files are generated when they are read at
 * position 0 and stay as they were for later positions of the same open file, so a reader sees one
 * state.
 */
#pragma once

#include "sentry/core/pid.h"
#include "sentry/fs/vfs.h"
#include "sentry/proc/pbuf.h"

struct pseudo_node;

/* One name that a dynamic directory lists. */
struct pseudo_name {
    char name[LX_NAME_MAX + 1];
    uint32_t mode; /* for d_type */
};

struct pseudo_dir {
    /* *out is a new node (pseudo_node_new) or NULL: no such name. */
    int (*lookup)(struct pseudo_node *dir, const char *name, size_t len, struct pseudo_node **out);
    /* The first name at or after *cookie; sets *cookie to where to go on. 1, 0 at the end, -errno.
     */
    int (*next)(struct pseudo_node *dir, uint64_t *cookie, struct pseudo_name *out);
};

/* One row; tables end with a NULL name. Functions that are NULL are not offered. */
struct pseudo_entry {
    const char *name;
    uint32_t mode; /* type and permission bits */
    int (*show)(struct pseudo_node *n, struct pbuf *b);
    /* data is NUL-terminated at data[size]; returns bytes consumed or -errno. */
    ssize_t (*store)(struct pseudo_node *n, char *data, size_t size);
    int (*readlink)(struct pseudo_node *n, char **out);
    int (*follow)(struct pseudo_node *n, struct path *out);
    /* Replaces the text file (mem, pagemap). */
    int (*open)(struct pseudo_node *n, uint32_t flags, struct file **out);
    /* Additional check at open, readlink and follow (ptrace access). [0] */
    int (*access)(struct pseudo_node *n);
    const struct pseudo_entry *children;
    const struct pseudo_entry *more; /* a second table, listed after the first */
    const struct pseudo_dir *dir;
    /* poll(2): changes are counted by seq (from 1) and announced on wq; a reader that did not see
     * the last one gets POLLPRI | POLLERR. Both or none. [always readable and writable] */
    struct waitq *(*wq)(struct pseudo_node *n);
    uint32_t (*seq)(struct pseudo_node *n);
    const void *data; /* for the functions: a sysctl's variable, a string */
};

/* Lifetime: the inode's. Keys: I immutable */
struct pseudo_node {
    struct inode inode;
    const struct pseudo_entry *entry; /* I */
    struct pid *pid;                  /* I, +1: the process or thread it shows, or NULL */
    enum pid_kind kind;               /* I: how pid is meant */
    uint64_t arg;                     /* I: descriptor, CPU */
    void *object;                     /* I, +1: what pseudo_object_ops.get counts, or NULL */
    struct list live;                 /* for born and gone */
};

/* For file systems whose directories are live objects (cgroup2). */
struct pseudo_object_ops {
    void (*get)(void *object);
    void (*put)(void *object);
    /* Is the row offered below dir? [yes] */
    bool (*visible)(struct pseudo_node *dir, const struct pseudo_entry *e);
    /* As inode_ops; *out is the new directory's node. [-EPERM] */
    int (*mkdir)(struct pseudo_node *dir, const char *name, uint32_t mode,
                 struct pseudo_node **out);
    int (*rmdir)(struct pseudo_node *dir, struct pseudo_node *victim);
    /* Remembers owner and mode; refresh shows them. [-EPERM] */
    int (*setattr)(struct pseudo_node *n, const struct fs_attr *attr);
    /* The node's inode is in use / goes away. */
    void (*born)(struct pseudo_node *n);
    void (*gone)(struct pseudo_node *n);
};

struct pseudo_super {
    struct super super;
    struct pidns *ns;        /* I, +1 (procfs) or NULL */
    atomic_int hidepid;      /* a: procfs's option, enum proc_hidepid */
    atomic_uint hidepid_gid; /* a: its group that sees all */
    bool pid_only;           /* I: procfs's subset=pid */
    uint64_t magic;          /* I */
    /* Brings owner (and mode of links) up to date; may be NULL. */
    void (*refresh)(struct pseudo_node *n);
    /* Does the object behind the node still exist? NULL: always. */
    bool (*valid)(struct pseudo_node *n);
    /* 0, or the error that a caller from whom the directory is hidden gets; at stat() it is -ENOENT, where
     * shown says no. May be NULL. */
    int (*enter)(struct pseudo_node *n);
    bool (*shown)(struct pseudo_node *n);
    size_t (*show_options)(struct pseudo_super *ps, char *buf,
                           size_t size);                          /* as super_ops; [""] */
    int (*remount)(struct pseudo_super *ps, const char *options); /* [options are ignored] */
    /* Additional permission, after the mode bits said -EACCES: true grants. May be NULL. */
    bool (*grants)(struct pseudo_node *n);
    void (*free_private)(struct pseudo_super *ps);
    const struct pseudo_object_ops *objects; /* I, or NULL */
    void *root_object;                       /* I, +1: object of the root node */
};

/* Fills super and makes its root from the row. Takes ps over also on failure. */
int MUST_CHECK pseudo_super_setup_take(struct pseudo_super *ps, const char *type,
                                       const struct pseudo_entry *root, struct super **out);
/* A node below dir; pid, kind and arg are inherited and may be replaced by the caller before the
 * node is published. */
int MUST_CHECK pseudo_node_new(struct pseudo_node *dir, const struct pseudo_entry *e,
                               const char *name, size_t len, struct pseudo_node **out);
/* A node that shows p (+1 taken here). */
void pseudo_node_set_pid(struct pseudo_node *n, struct pid *p, enum pid_kind kind);
void pseudo_node_set_object(struct pseudo_node *n, void *object);
struct pseudo_super *pseudo_super_of(const struct pseudo_node *n);
/* Decimal name without sign, leading zero or overflow; -ENOENT when it is none. */
int64_t pseudo_parse_nr(const char *name, size_t len);

static inline struct pseudo_node *pseudo_node_of(struct inode *i)
{
    return container_of(i, struct pseudo_node, inode);
}

/* NULL when i belongs to another kind of file system. */
struct pseudo_node *pseudo_node_from_inode(struct inode *i);

/* Row shorthands. */
#define PSEUDO_DIR(n, m, table)                                                                    \
    {                                                                                              \
        .name = (n), .mode = 0040000 | (m), .children = (table)                                    \
    }
#define PSEUDO_FILE(n, m, fn)                                                                      \
    {                                                                                              \
        .name = (n), .mode = 0100000 | (m), .show = (fn)                                           \
    }
#define PSEUDO_RW(n, m, fn, st)                                                                    \
    {                                                                                              \
        .name = (n), .mode = 0100000 | (m), .show = (fn), .store = (st)                            \
    }
#define PSEUDO_LINK(n, fn)                                                                         \
    {                                                                                              \
        .name = (n), .mode = 0120777, .readlink = (fn)                                             \
    }
/* A file with a constant text, a link with a constant target. */
#define PSEUDO_TEXT(n, m, text)                                                                    \
    {                                                                                              \
        .name = (n), .mode = 0100000 | (m), .show = pseudo_show_text, .data = (text)               \
    }
#define PSEUDO_LINK_TO(n, text)                                                                    \
    {                                                                                              \
        .name = (n), .mode = 0120777, .readlink = pseudo_readlink_text, .data = (text)             \
    }
int pseudo_show_text(struct pseudo_node *n, struct pbuf *b);
int pseudo_readlink_text(struct pseudo_node *n, char **out);
