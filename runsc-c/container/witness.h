/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engines learn that a container ran out of memory from the counters and events of its host cgroup (memory.oom_control,
 * memory.events). The guests' own OOM killer acts a little before that limit, so that the sandbox survives. When it is about
 * to kill, it tells the container's proxy, and the proxy lets the host see what is true: a child takes what is left up to
 * the limit, at the highest oom_score_adj, and is what the host's OOM killer ends.
 *
 * Without a limit, or with more than WITNESS_MOST left of it (a pod's member, whose memory counts in the sandbox's group), or
 * where the host would swap instead, nothing is done.
 */
#pragma once

#include "runsc-c/support/err.h"

struct cgroup;

/* Descriptors of a proxy, -1 each when there is nothing to witness. */
struct witness {
    int limit_fd, usage_fd; /* of the memory cgroup */
    int proc_fd;            /* of /proc, O_PATH: the child raises its own oom_score_adj */
};

/* In the parent: the cgroup's files; what is not there is -1. */
void witness_open(struct witness *w, struct cgroup *cg);
/* In the process that will be told, while its root has a /proc. */
void witness_open_own(struct witness *w);
void witness_close(struct witness *w);
/* Returns when it has happened, or cannot, or after a bounded time. */
void witness_oom(const struct witness *w);
