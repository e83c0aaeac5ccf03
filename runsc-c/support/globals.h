/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The global options, as every command sees them: set by main, then read-only, but for what the annotations of the
 * container that the command creates say (container/annotations.h).
 */
#pragma once

#include "platform/base/compiler.h"
#include "runsc-c/support/err.h"

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
    bool allow_flag_override;
    uint64_t started; /* log_phases_from's */
    bool debug, systemd_cgroup, rootless;
    bool help, version;
    int inherited_fds;    /* descriptors 3, 4, ... that the caller left open, up to the first gap */
    bool stdio_closed[3]; /* descriptors that the caller left closed; /dev/null holds their place */
};

extern struct globals g_options;

/* The options before the command; *index is left at the command. */
int globals_parse(int argc, char **argv, int *index, struct err *e);
/* Checks what was parsed, fills in what depends on the caller, opens the log. Before any command. */
int globals_settle(struct err *e);
/* One option by its name, as `--name=value` would. 1: there is no such option. */
int globals_override(const char *name, const char *value, struct err *e);
void globals_help(void);
