/* SPDX-License-Identifier: Apache-2.0 */
/* procfs and sysfs: what boot mounts. See proc/README.md. */
#pragma once

#include "sentry/fs/vfs.h"

struct pidns;

/* A procfs that shows ns; *out is +1. -ENOMEM. */
int MUST_CHECK procfs_create(struct pidns *ns, struct super **out);
int MUST_CHECK sysfs_create(struct super **out);
/* What a write of text to the file of that name does, whoever is asked for it: 0, -ENOENT (no such
 * file), -errno of the file. For the limits that a container is started with. */
struct kcgroup;
int cgroup_file_write(struct kcgroup *cg, const char *name, const char *text);

/* For mount(2): "proc" shows the caller's pid namespace; "sysfs". */
extern const struct fs_type g_fs_proc;
extern const struct fs_type g_fs_sysfs;
extern const struct fs_type g_fs_cgroup2;

struct pid;
/* The process that f, a descriptor of a /proc/PID directory, names: borrowed from f; NULL when f is
 * something else. pidfd_send_signal(2) takes such descriptors. */
struct pid *procfs_dir_pid(const struct file *f);
