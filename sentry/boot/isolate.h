/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's jail, in stages. Stage 1 needs privilege inside the own user namespace, stage 2
 * gives it up; stage 3, the system call filter, comes last because the platform's and the services'
 * start needs calls that it forbids.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Empty read-only root instead of the host's file system, signal dispositions, limits. -errno. */
int isolate_root(void);
/* A file without a name on a file system of its own, whose mappings may have huge pages whatever the
 * host's default is. -errno: the host cannot. After isolate_root, before isolate_privileges. */
int isolate_memory_file(int *out_fd);
/* No capabilities in any set but those of keep (a bit per number; permitted and effective), none to
 * be had again. -errno. */
int isolate_privileges(uint64_t keep);
/* The default-kill filter of host.tbl, with or without the rows for host sockets. -errno. */
int isolate_filter(bool host_sockets);
