/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer: the only process of a sandbox that touches host files. It serves directory trees to
 * the sentry over socket pairs (proto/proto.h) after it has locked itself up: see README.md.
 */
#pragma once

#include "platform/base/compiler.h"

/* One tree = one session. A regular file as a tree is fine (a file bind mount). */
struct gofer_tree {
    const char *host_path; /* absolute or relative path, or NULL when fd is given */
    int fd;                /* gofer_tree_mount's, used when host_path is NULL */
    int conn_fd;           /* SOCK_SEQPACKET end that the sentry talks to; owned by the gofer */
    bool readonly;
    bool alone; /* without what is mounted below it; for host_path */
};

enum gofer_io { GOFER_IO_AUTO, GOFER_IO_URING, GOFER_IO_POLL };

struct gofer_config {
    const struct gofer_tree *trees;
    size_t count;
    enum gofer_io io;
    int netns_fd;  /* an empty network namespace to live in, or 0: one of its own. Closed. */
    bool unjailed; /* unit tests only: no namespaces, no seccomp, no dropped capabilities */
};

#define GOFER_TREES_MAX 1024u

/* A detached mount of path (recursive: and of what is mounted below it), as a gofer serves it: for somebody who can reach path to
 * give to a gofer that cannot (other ids). Descriptor or -errno. */
int MUST_CHECK gofer_tree_mount(const char *path, bool readonly, bool recursive);

/*
 * Isolates the calling process, then serves until every session ended. Returns the exit code: 0
 * when the peers closed, 1 when a session broke protocol or isolation failed (logged through
 * log_init's sink, which the caller set up). The process must be single-threaded. Its own pid
 * namespace is entered by one fork unless it is pid 1 already; the outer process then only waits.
 */
int gofer_main(const struct gofer_config *config);
