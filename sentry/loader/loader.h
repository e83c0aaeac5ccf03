/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Program loading: ELF (static, static-pie, dynamic), #! scripts, auxiliary vector, first stack,
 * vDSO. Errors in Linux's order: execve(2). Everything read from the file is hostile.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct file;
struct mappable;
struct mm;
struct path;

/* Strings of argv or envp, copied in from the guest before the old image goes. */
struct exec_strings {
    char *data;  /* NUL-terminated strings one after the other; owned */
    size_t size; /* bytes used */
    uint32_t count;
};

struct exec_request {
    struct file *exe;     /* borrowed: opened for execution by the caller, permission checked */
    const char *filename; /* as given to execve (or /dev/fd/N[/path]): AT_EXECFN, argv[0] for #! */
    struct exec_strings argv, envp; /* owned by the request; the loader may rewrite argv for #! */
    uint64_t stack_limit;           /* RLIMIT_STACK */
    uint32_t uid, euid, gid, egid;  /* for auxv, as the guest's user namespace shows them */
    bool secure;                    /* AT_SECURE */
    bool randomize;                 /* no ADDR_NO_RANDOMIZE personality */
    struct mappable *vvar;          /* borrowed: see vdso_map */
};

/* Opens a program for execution as open_exec does: name resolved from dirfd with walk_flags
 * (WALK_FOLLOW, WALK_EMPTY, ...); regular file, execute permission, not on a noexec mount, not open
 * for writing (-ETXTBSY); writing to it is refused until the file is released. -EACCES, -ENOENT ...
 */
int MUST_CHECK loader_open_exec(int dirfd, const char *name, uint32_t walk_flags,
                                struct file **out);

struct exec_image {
    struct file
        *interp_exe; /* +1: the file that supplies credentials bits (#!: the interpreter), or exe */
    bool exe_readable; /* the caller may read it (dumpable) */
};

/* Step 1, may fail, nothing changed: follows #!, parses and checks headers. -ENOEXEC, -ELIBBAD,
 * -ENOENT (interpreter), -EACCES, -E2BIG, -ELOOP (5 levels of #!), -EIO ... *out_plan is opaque. */
struct exec_plan;
int MUST_CHECK loader_prepare(struct exec_request *rq, struct exec_image *out_image,
                              struct exec_plan **out_plan);
/* Step 2: builds the image in the empty mm; fills regs (rip, rsp, others 0, cs/ss) and mm_layout.
 * An error here is fatal to the task (SIGKILL/SIGSEGV), as in Linux past the point of no return. */
int MUST_CHECK loader_commit(struct exec_plan *plan, struct exec_request *rq, struct mm *mm,
                             struct lx_regs *out_regs);
void loader_plan_free(struct exec_plan *plan);

/* vDSO: see vdso.h. */
