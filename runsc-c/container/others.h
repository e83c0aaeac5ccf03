/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxies of a container's execs, as the proxy of its first process sees them. On Linux the first process of a pid
 * namespace cannot be waited for before all others have been; engines rely on it and lose the end of an exec
 * that they learn of after its container's. So the first process's proxy ends last.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Lifetime: embedded in the proxy; {0} has none. */
struct others {
    int *fds; /* of processes, owned */
    size_t count, capacity;
};

/* One has started; those that are gone are forgotten. One that cannot be watched is left out. */
void others_add(struct others *o, pid_t pid);
/* Returns when their parents have waited for all of them, or did not for too long. */
void others_wait(struct others *o);
