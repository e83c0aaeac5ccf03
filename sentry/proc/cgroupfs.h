/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of a control group: the tree and core files (cgroupfs.c), the controllers'. */
#pragma once

#include "sentry/kernel/cgroup.h"
#include "sentry/proc/pseudo.h"

/* One file of a group; pseudo_entry.data points to it. Handlers see a group that was alive. */
struct cgroup_file {
    uint32_t controller; /* CGROUP_*: shown when the parent hands it on; 0: always */
    enum cgroup_news news;
    int (*show)(struct kcgroup *cg, struct pbuf *b);
    /* data: NUL-terminated, without surrounding white space. 0 or -errno. */
    int (*store)(struct kcgroup *cg, char *data);
};

int cgroupfs_show(struct pseudo_node *n, struct pbuf *b);
ssize_t cgroupfs_store(struct pseudo_node *n, char *data, size_t size);
struct waitq *cgroupfs_wq(struct pseudo_node *n);
uint32_t cgroupfs_seq(struct pseudo_node *n);

#define CGROUP_FILE(n, m, ctrl, sh, st)                                                            \
    {                                                                                              \
        .name = (n), .mode = 0100000 | (m), .show = cgroupfs_show, .store = cgroupfs_store,        \
        .data = &(const struct cgroup_file)                                                        \
        {                                                                                          \
            .controller = (ctrl), .show = (sh), .store = (st)                                      \
        }                                                                                          \
    }
/* A file that can be polled for news. */
#define CGROUP_NEWS_FILE(n, m, ctrl, sh, kind)                                                     \
    {                                                                                              \
        .name = (n), .mode = 0100000 | (m), .show = cgroupfs_show, .store = cgroupfs_store,        \
        .wq = cgroupfs_wq, .seq = cgroupfs_seq, .data = &(const struct cgroup_file)                \
        {                                                                                          \
            .controller = (ctrl), .show = (sh), .news = (kind)                                     \
        }                                                                                          \
    }

extern const struct pseudo_entry g_cgroup_controller_files[];

/* "max" or a whole number. -EINVAL. */
int cgroup_parse_max(const char *data, uint64_t *out);
void cgroup_put_max(struct pbuf *b, uint64_t value);
