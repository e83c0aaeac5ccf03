/* SPDX-License-Identifier: Apache-2.0 */
/* From an OCI process object to a task that is ready to start. */
#pragma once

#include "sentry/boot/config.h"
#include "sentry/kernel/kernel.h"

/* A refusal in the words that container engines match on, with runc's exit code. */
struct boot_error {
    int exit_code;
    char msg[512];
};

int boot_error_set(struct boot_error *e, int exit_code, const char *fmt, ...) PRINTF_LIKE(3, 4);

struct container_process {
    const json_t *process; /* OCI process object */
    uint32_t personality;
    struct kcontainer *container; /* borrowed */
    /* What it joins, borrowed. NULL members: a new uts namespace, the others curr()'s. */
    struct task_namespaces ns;
    const char *hostname, *domainname;
    bool killable_init;
    bool make_cwd;                               /* where there is no such directory */
    struct fdtable *files;                       /* borrowed: stdio installed */
    struct lx_rlimit host_limits[LX_RLIM_COUNT]; /* for those that the object does not set */
    struct process_exit_hook on_exit;
};

/* 0, or -EINVAL with *e set. The task is created, not started. */
int container_process_create(const struct container_process *cp, struct task **out,
                             struct boot_error *e);
/* A new table: descriptors 0-2 are the console's slave, or host files over copies of the given host
 * descriptors; 3.. are the preserved ones. -errno. */
int container_stdio(const int host_fds[3], struct file *console, const int *preserved,
                    size_t preserved_count, struct fdtable **out);
