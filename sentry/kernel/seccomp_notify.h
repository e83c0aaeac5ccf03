/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SECCOMP_RET_USER_NOTIF: calls of filtered tasks wait for the answer of a supervisor, who has the
 * filter's listener as a file (seccomp_unotify(2)).
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/seccomp.h"

struct file;
struct task;
/* Lifetime: refcounted; its filter and its file hold one each. */
struct seccomp_notifier;

/* *out is for the filter (seccomp_notifier_end), *out_file for a descriptor; +1 each. -ENOMEM. */
int MUST_CHECK seccomp_notifier_new(bool wait_killable, struct seccomp_notifier **out,
                                    struct file **out_file);
/* The filter is gone: nobody will ask again. Consumes its reference. */
void seccomp_notifier_end(struct seccomp_notifier *n);
/* The calling task asks and sleeps until there is an answer. Returns what the call returns, or
 * -ERESTARTSYS; with *out_continue the call is to be made instead. -ENOSYS: nobody listens. */
long seccomp_notifier_ask(struct seccomp_notifier *n, struct task *t,
                          const struct lx_seccomp_data *data, bool *out_continue);
