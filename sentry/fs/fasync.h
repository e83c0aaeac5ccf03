/* SPDX-License-Identifier: Apache-2.0 */
/* F_SETOWN and friends: who gets SIGIO for a file. */
#pragma once

#include "sentry/core/pid.h"
#include "sentry/fs/vfs.h"

struct file_owner {
    struct pid *pid; /* +1 or NULL */
    enum pid_kind kind;
    int signo;
    lx_uid_t uid, euid;
};
/* owner borrowed, may be NULL. -ENOMEM. */
int MUST_CHECK file_set_owner(struct file *f, struct pid *owner, enum pid_kind kind);
/* The calling process becomes the owner of a file that has none. -ENOMEM. */
int MUST_CHECK file_default_owner(struct file *f);
/* Sends the owner the file's signal, O_ASYNC or not. */
void file_send_sigio(struct file *f, int fd, int code, uint32_t band);
void file_get_owner(struct file *f, struct file_owner *out);
int MUST_CHECK file_set_sig(struct file *f, int signo);
int MUST_CHECK file_set_async_fd(struct file *f, int fd);
