/* SPDX-License-Identifier: Apache-2.0 */
/* Replacing the program of a task: execve, execveat, and the first program of boot's processes. */
#pragma once

#include "sentry/loader/loader.h"

struct cred;
struct path;
struct task;

/* Where the strings of argv and envp come from: guest memory or boot's own. */
struct exec_call {
    int dirfd;                      /* LX_AT_FDCWD or a descriptor */
    const char *name;               /* sentry memory */
    uint32_t at_flags;              /* LX_AT_EMPTY_PATH | LX_AT_SYMLINK_NOFOLLOW */
    struct exec_strings argv, envp; /* owned: freed by task_exec */
};

/* Copies a guest's string vector; NULL pointer means empty. budget: bytes left for all strings and
 * pointers, shrinks. -EFAULT, -E2BIG, -ENOMEM. */
int MUST_CHECK exec_strings_from_user(uaddr_t vec, size_t *budget, struct exec_strings *out);
int MUST_CHECK exec_strings_from_kernel(const char *const *vec, struct exec_strings *out);
void exec_strings_free(struct exec_strings *s);
/* What argv and envp together may take under the caller's RLIMIT_STACK. */
size_t exec_strings_budget(struct task *t);

/* 0: the task now runs the new program. Otherwise -errno and nothing changed, or the task is dying.
 */
int task_exec(struct task *t, struct exec_call *call);
/* First program of a task that never ran and has no mm: builds mm and ctx too. */
int MUST_CHECK task_exec_first(struct task *t, struct exec_call *call);

/* exec_cred.c: identity after the program file's set-id bits and capabilities. -EPERM. */
struct exec_cred {
    struct cred *cred;      /* +1 */
    bool secure;            /* AT_SECURE */
    bool clear_personality; /* a set-id program drops the dangerous bits */
};
struct file;
int MUST_CHECK exec_cred_compute(struct task *t, struct file *program, struct exec_cred *out);
