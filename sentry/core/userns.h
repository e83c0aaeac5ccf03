/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces: id maps and ownership. user_namespaces(7). */
#pragma once

#include <sys/types.h>

#include "platform/base/lock.h"
#include "sentry/core/cred.h"

#define USERNS_MAX_EXTENTS 340
#define USERNS_MAX_DEPTH   32

struct id_extent {
    uint32_t first;  /* inside */
    uint32_t kernel; /* kernel id */
    uint32_t count;
};

/* Written once: extents first, then count with release. */
struct id_map {
    atomic_uint count; /* a: 0 = not written yet */
    struct id_extent *extents;
};

enum userns_setgroups { USERNS_SETGROUPS_ALLOW, USERNS_SETGROUPS_DENY };

/* Lifetime: refcounted (userns_get/userns_put); the initial one is static.
 * Keys: I immutable; u ->lock; a atomic */
struct userns {
    struct refs refs;
    struct userns *parent;          /* I, +1 */
    uint32_t level;                 /* I */
    lx_uid_t owner_uid;             /* I: kernel ids of the creator */
    lx_gid_t owner_gid;             /* I */
    uint64_t inum;                  /* I */
    struct mutex lock;              /* rank LEAF: serialises map writes */
    struct id_map uid_map, gid_map; /* u */
    atomic_int setgroups;           /* a: enum userns_setgroups */
    bool parent_could_setfcap;      /* I */
};

extern struct userns g_init_userns;

/* The initial namespace of a sandbox whose host gave it a user namespace: these ids and no others, and what they are outside (extents'
 * `kernel`), which is what readers inside are shown. Once, before the first task: nothing is locked. -ENOMEM, -EINVAL. */
int MUST_CHECK userns_init_map(bool gid, const struct id_extent *outside, uint32_t count);
/* unshare/clone CLONE_NEWUSER by a task with the given credentials: -EPERM, -ENOSPC, -ENOMEM. */
int MUST_CHECK userns_new(const struct cred *creator, struct userns **out);
/* Is ns a descendant of (or the same as) ancestor? */
bool userns_descends(const struct userns *ns, const struct userns *ancestor);
/* write(2) to /proc/PID/{uid_map,gid_map}: parses text, checks the writer (the opener's and the
 * caller's credentials), installs the map. Bytes consumed or -EPERM, -EINVAL. */
ssize_t userns_map_write(struct userns *ns, bool gid, const char *text, size_t size,
                         const struct cred *opener);
/* Text of the map as the reader's namespace shows it; returns its length (snprintf rule). */
size_t userns_map_format(struct userns *ns, bool gid, const struct userns *reader, char *buf,
                         size_t size);
/* /proc/PID/setgroups. */
int userns_setgroups_write(struct userns *ns, bool allow);
/* setgroups(2) is possible: the gid map is written and setgroups is not denied. */
bool userns_may_setgroups(struct userns *ns);
