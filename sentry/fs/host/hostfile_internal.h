/* SPDX-License-Identifier: Apache-2.0 */
/* Between hostfile.c (open files) and host_inode.c (the objects behind them). */
#pragma once

#include "sentry/fs/host/hostfd.h"
#include "sentry/fs/host/hostfile.h"

/* Lifetime: refcounted as its file. */
struct hostfile {
    struct file file;
    struct hostfd *h; /* +1 user */
    bool own_pos;     /* opened again by the guest: not the host description's position */
};

/* A new open file; h is borrowed. */
int MUST_CHECK hostfile_make(struct hostfd *h, uint32_t flags, bool own_pos, struct hostfile **out);
