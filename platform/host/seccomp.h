/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host system call filters, one per kind of process. The programs are generated at build time from
 * syscall-table/host.tbl; whatever has no row there kills the process.
 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "platform/base/compiler.h"

enum host_role {
    HOST_ROLE_SENTRY,
    HOST_ROLE_GOFER,
    HOST_ROLE_STUB,    /* ptrace back end */
    HOST_ROLE_HOSTNET, /* a sentry with --network=host: its own rows on top of the sentry's */
    HOST_ROLE_CONTROL, /* seccomp back end: control stubs; others get what platform/seccomp says */
    HOST_ROLE_THREAD,  /* seccomp back end: stubs of guest threads */
    HOST_ROLE_COUNT
};

struct host_filter {
    const struct sock_filter *code;
    unsigned count;
};

/* Longest filter a process may install, minus room for a caller's own prefix. */
#define HOST_FILTER_MAX 2048u

const struct host_filter *host_filter(enum host_role role);
/* Sets no_new_privs and installs the filter for all threads of the process. Cannot be undone. */
int MUST_CHECK host_seccomp_install(enum host_role role);

/* A listener of user notifications. 0 or -errno. */
int MUST_CHECK host_seccomp_receive(int listener, struct seccomp_notif *out); /* *out is zero */
int MUST_CHECK host_seccomp_send(int listener, const struct seccomp_notif_resp *resp);
/* Wakes the other side on this CPU. -EINVAL before 6.6. */
int host_seccomp_set_sync(int listener);
