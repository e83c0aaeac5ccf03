/* SPDX-License-Identifier: Apache-2.0 */
/* epoll(7). See epoll/README.md. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/epoll.h"
#include "sentry/fs/vfs.h"

int MUST_CHECK epoll_create_file(struct file **out);
/* op: LX_EPOLL_CTL_*. Errors as epoll_ctl(2). f is borrowed: closing its last reference removes it.
 */
int MUST_CHECK epoll_ctl(struct file *ep, int op, int fd, struct file *f,
                         const struct lx_epoll_event *ev);
/* Fills at most max events. Count, 0 (deadline), -ERESTARTSYS. */
int MUST_CHECK epoll_wait_events(struct file *ep, struct lx_epoll_event *out, int max,
                                 uint64_t deadline);
int epoll_item_count(struct file *ep);
bool file_is_epoll(const struct file *f);
/* file_put of the last reference calls it, before ops->release, when the file had items once: the release of
 * an epoll may be in the middle of taking one off. */
void epoll_file_release(struct file *f);
