/* SPDX-License-Identifier: Apache-2.0 */
/* The objects behind /proc/PID/ns/NAME: what setns(2) gets a descriptor of. */
#pragma once

#include "sentry/proc/pseudo.h"

/* Path of namespace name ("mnt", "pid", ...) of the task that p names; +1. -ENOENT. */
int MUST_CHECK nsfs_path(struct pid *p, enum pid_kind kind, const char *name, struct path *out);
/* Does f name a namespace? *out_pid is borrowed: a task that was in it; *out_name static. False
 * when f is something else, or the task has left that namespace meanwhile. */
bool nsfs_from_file(struct file *f, struct pid **out_pid, const char **out_name);
struct task;
/* setns(2) with a namespace file: joins what f names; flags 0 or that kind. -EINVAL: f is none. */
long nsfs_setns(struct task *t, struct file *f, uint32_t flags);
