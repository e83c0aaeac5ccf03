/* SPDX-License-Identifier: Apache-2.0 */
/* Directory notification, fcntl(F_NOTIFY): a signal when something happens to an entry. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

/* F_NOTIFY through descriptor fd of f, for descriptor table owner (an identity, never followed). A
 * mask without an event forgets. -ENOTDIR, -ENOMEM. */
int MUST_CHECK dnotify_set(struct file *f, int fd, const void *owner, uint32_t mask);
/* A descriptor of f in that table is closed: what was set through the table is forgotten. */
void dnotify_close(struct file *f, const void *owner);
/* The last reference of f goes. */
void dnotify_release(struct file *f);
/* Something (IN_*) happened to the entry of that name in dir. */
void dnotify_event(struct inode *dir, uint32_t mask);
/* True while any directory in the sandbox is watched: what is above costs one load otherwise. */
bool dnotify_in_use(void);
