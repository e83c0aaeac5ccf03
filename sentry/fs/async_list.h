/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open files of one object (pipe, terminal) that have O_ASYNC on: who is told with SIGIO when
 * the object becomes ready. Sockets have one file each and need no list.
 */
#pragma once

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "sentry/fs/vfs.h"

/* Lifetime: embedded in the object. Keys: y ->lock; a atomic */
struct async_list {
    struct mutex lock; /* rank ASYNC */
    struct list nodes; /* y */
    atomic_bool any;   /* a */
};

/* Lifetime: embedded in the open file's own struct. */
struct async_node {
    struct list node;  /* y */
    struct file *file; /* borrowed: it leaves the list before it is freed */
};

void async_list_init(struct async_list *l);
void async_list_destroy(struct async_list *l);
void async_node_init(struct async_node *n, struct file *f);
/* From file_ops.set_flags (flags: the new ones) and, with 0, from release. */
void async_list_update(struct async_list *l, struct async_node *n, uint32_t flags);
/* events: WAKE_IN or WAKE_OUT; readers and writers are told of theirs. No lock after ASYNC held. */
void async_list_signal(struct async_list *l, uint32_t events);
