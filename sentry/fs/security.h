/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The questions that files, sockets, signals and tracing put to the security module, after their
 * own rules said yes (names are asked about before the directory's permission, as Linux does).
 * There is one module, landlock: the functions are its own. A task without a domain costs one
 * comparison.
 *
 * All answer 0 or -errno, take no lock but DCACHE and never block.
 */
#pragma once

#include <errno.h>

#include "sentry/abi/stat.h"
#include "sentry/core/curr.h"
#include "sentry/fs/vfs.h"

int landlock_open(const struct path *p, uint32_t flags, const struct cred *cred,
                  uint32_t *out_refused);
int landlock_exec(const struct path *p);
int landlock_make(const struct path *dir, uint32_t mode);
int landlock_remove(const struct path *dir, bool is_dir);
int landlock_refer(const struct path *old, const struct path *new_dir, struct dentry *target,
                   bool removable, bool exchange);
int landlock_truncate(const struct path *p);
int landlock_mount(void);
int landlock_tcp(bool connect, uint16_t port);
int landlock_signal(const struct cred *from, const struct cred *to);
int landlock_abstract_unix(const struct cred *owner);
int landlock_trace(const struct cred *target);

static inline bool security_idle(void)
{
    return !curr()->cred->security;
}

/* An object is about to be opened. *out_refused: rights that later calls on the file will miss. */
static inline int security_open(const struct path *p, uint32_t flags, const struct cred *cred,
                                uint32_t *out_refused)
{
    *out_refused = 0;
    return cred->security ? landlock_open(p, flags, cred, out_refused) : 0;
}
/* The caller executes it. */
static inline int security_exec(const struct path *p)
{
    return security_idle() ? 0 : landlock_exec(p);
}
/* A name for an object of this type comes into dir. */
static inline int security_make(const struct path *dir, uint32_t mode)
{
    return security_idle() ? 0 : landlock_make(dir, mode);
}
static inline int security_remove(const struct path *dir, bool is_dir)
{
    return security_idle() ? 0 : landlock_remove(dir, is_dir);
}
/* old (positive) gets a name in new_dir. */
static inline int security_link(const struct path *old, const struct path *new_dir)
{
    return security_idle() ? 0 : landlock_refer(old, new_dir, NULL, false, false);
}
/* old moves to new_dir over target (may be negative), or changes places with it. */
static inline int security_rename(const struct path *old, const struct path *new_dir,
                                  struct dentry *target, bool exchange)
{
    return security_idle() ? 0 : landlock_refer(old, new_dir, target, true, exchange);
}
static inline int security_truncate(const struct path *p)
{
    return security_idle() ? 0 : landlock_truncate(p);
}
/* ftruncate, ioctl: what open found out. */
static inline int security_file(const struct file *f, uint32_t right)
{
    return f->refused & right ? -EACCES : 0;
}
/* The mount tree is about to change. */
static inline int security_mount(void)
{
    return security_idle() ? 0 : landlock_mount();
}
static inline int security_tcp(bool connect, uint16_t port)
{
    return security_idle() ? 0 : landlock_tcp(connect, port);
}
static inline int security_signal(const struct cred *from, const struct cred *to)
{
    return from->security ? landlock_signal(from, to) : 0;
}
/* owner: who made the socket with the abstract name, NULL when it has gone. */
static inline int security_abstract_unix(const struct cred *owner)
{
    return security_idle() ? 0 : landlock_abstract_unix(owner);
}
static inline int security_trace(const struct cred *target)
{
    return security_idle() ? 0 : landlock_trace(target);
}
