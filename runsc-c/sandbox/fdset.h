/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors a child gets: each is given the next number from 3 on in the child; everything
 * else is closed there. 0-2 are set separately.
 */
#pragma once

#include "runsc-c/support/err.h"

enum { FDSET_FIRST = 3, FDSET_MAX = 512 };

struct fdset {
    int fd[FDSET_MAX]; /* borrowed */
    int count;
};

/* Number that fd will have in the child, or -1 with *e set. fd < 0 gives -1 without an error. */
int fdset_add(struct fdset *s, int fd, struct err *e);
/* In the child after fork: moves the descriptors to their numbers and closes all others from 3 on.
 * -errno. Async-signal-safe. */
int fdset_apply(const struct fdset *s);
