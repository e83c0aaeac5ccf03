/* SPDX-License-Identifier: Apache-2.0 */
/* The global options, as every command sees them. Set once by main, then read-only. */
#pragma once

#include "platform/base/compiler.h"

struct globals {
    const char *root;        /* state directory; never NULL after main */
    const char *log_path;    /* --log or NULL */
    const char *log_format;  /* text | json */
    const char *platform;    /* auto, ptrace, seccomp, kvm */
    const char *lanes;       /* auto, off, eager */
    const char *network;     /* none, host, or NULL: see sandbox_network */
    const char *overlay;     /* root:memory | none; NULL: do has the first, containers the second */
    const char *file_access; /* shared | exclusive: may others change a container's root */
    const char *strace;      /* NULL off, "" stderr, else file */
    const char *strace_format;
    bool rseq;
    uint64_t started; /* log_phases_from's */
    bool debug, systemd_cgroup, rootless;
    int inherited_fds;    /* descriptors 3, 4, ... that the caller left open, up to the first gap */
    bool stdio_closed[3]; /* descriptors that the caller left closed; /dev/null holds their place */
};

extern struct globals g_options;
