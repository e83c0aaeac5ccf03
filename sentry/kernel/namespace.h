/* SPDX-License-Identifier: Apache-2.0 */
/* Copying and joining namespaces, for clone, unshare and setns. Private to kernel/. */
#pragma once

#include "sentry/core/curr.h"

struct namespace_set {
    struct mntns *mntns; /* all +1 */
    struct netns *netns;
    struct ipcns *ipcns;
    struct utsns *utsns;
};

/* References to from's namespaces, fresh ones for LX_CLONE_NEW* in flags. cred: who will own them
 * (needs CAP_SYS_ADMIN there: -EPERM). fs: the private fs_ctx that moves with CLONE_NEWNS. */
int MUST_CHECK namespace_set_copy(const struct curr *from, uint64_t flags, const struct cred *cred,
                                  struct fs_ctx *fs, struct namespace_set *out);
void namespace_set_put(struct namespace_set *s);
/* Credentials of a task that just entered ns: all capabilities there. */
int MUST_CHECK cred_enter_userns(const struct cred *old, struct userns *ns, struct cred **out);
uint64_t ipcns_inum(const struct ipcns *ns);
