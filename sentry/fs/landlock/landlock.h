/* SPDX-License-Identifier: Apache-2.0 */
/*
 * landlock(7): rulesets as files, and the domains that tasks put themselves into. The checks are
 * called through sentry/fs/security.h.
 */
#pragma once

#include "sentry/abi/landlock.h"
#include "sentry/fs/vfs.h"

/* -ENOMSG when nothing is handled, -ENOMEM. The masks were checked. */
int MUST_CHECK landlock_ruleset_new(const struct lx_landlock_ruleset_attr *attr, struct file **out);
/* -EBADFD: f is no ruleset; -ENOMSG: no right given; -EINVAL: rights that it does not handle, or
 * that a non-directory has not; -E2BIG: too many rules. */
int landlock_add_path(struct file *f, const struct path *p, uint64_t allowed);
int landlock_add_port(struct file *f, uint64_t port, uint64_t allowed);
/* What add_path checks before it looks at the path. */
int landlock_check_rights(struct file *f, bool net, uint64_t allowed);
bool landlock_is_ruleset(const struct file *f);
/* Credentials of the caller with one more layer. -EBADFD, -E2BIG, -ENOMEM. */
int MUST_CHECK landlock_restrict(struct file *f, struct cred **out);
/* Puts what ended domains held. Called where no lock is held. */
void landlock_reap(void);
