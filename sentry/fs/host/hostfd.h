/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A donated host descriptor and its readiness. One poller thread serves all of them; it sleeps in
 * ppoll without timeout and watches a descriptor only after hostfd_arm, once: an event wakes the
 * descriptor's queue and disarms it. Whoever still waits asks hostfd_poll again, which arms again.
 */
#pragma once

#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/refs.h"
#include "sentry/core/sleep.h"

/* Lifetime: refcounted by its users (files, inode) and by the poller while it polls.
 * Keys: I immutable; p the poller's lock; a atomic */
struct hostfd {
    struct refs refs;
    atomic_uint users;       /* a: files and inodes; the last one disarms */
    int fd;                  /* I */
    uint32_t type;           /* I: S_IFMT bits of the host file */
    bool tty;                /* I */
    bool readable, writable; /* I: what the host description allows */
    atomic_bool no_nowait;   /* a: RWF_NOWAIT is not supported: ask readiness first */
    struct waitq wq;
    struct list armed; /* p */
    uint32_t want;     /* p: WAKE_* bits */
};

/* Takes fd over (also on error). -EBADF, -ENOMEM, -EAGAIN. */
int MUST_CHECK hostfd_new_take(int fd, struct hostfd **out);
struct hostfd *hostfd_user_get(struct hostfd *h);
void hostfd_user_put(struct hostfd *h);
/* Ready WAKE_* bits; arms the poller for the others. */
uint32_t hostfd_poll(struct hostfd *h);
void hostfd_arm(struct hostfd *h, uint32_t events);
/* One attempt that does not sleep: bytes, 0 at the end, -EAGAIN, -EPIPE, ... */
ssize_t hostfd_try_read(struct hostfd *h, void *buf, size_t size);
ssize_t hostfd_try_write(struct hostfd *h, const void *buf, size_t size);
