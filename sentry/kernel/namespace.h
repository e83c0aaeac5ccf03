/* SPDX-License-Identifier: Apache-2.0 */
/* Copying and joining namespaces, for clone, unshare and setns. Private to kernel/. */
#pragma once

#include "sentry/core/curr.h"

struct namespace_set {
    struct mntns *mntns; /* all +1 */
    struct netns *netns;
    struct ipcns *ipcns;
    struct utsns *utsns;
    struct cgroupns *cgroupns;
    struct timens *timens, *child_timens;
};

/* References to from's namespaces, fresh ones for LX_CLONE_NEW* in flags. cred: who will own them
 * (needs CAP_SYS_ADMIN there: -EPERM). fs: the private fs_ctx that moves with CLONE_NEWNS. */
int MUST_CHECK namespace_set_copy(const struct curr *from, uint64_t flags, const struct cred *cred,
                                  struct fs_ctx *fs, struct namespace_set *out);
void namespace_set_put(struct namespace_set *s);
/* Holds the one namespace of t that flag (LX_CLONE_NEWNS, UTS, IPC, NET, CGROUP, TIME; of_children: its children's) names, nothing for
 * others, and the user namespace of t (+1). For namespace files, which outlive the task. */
struct userns;
void task_namespace_hold(struct task *t, uint64_t flag, bool of_children, struct namespace_set *out,
                         struct userns **out_owner);
/* t, which does not run, moves to its namespace for children; so do its memory's clocks. -ENOMEM. */
int MUST_CHECK task_enter_child_timens(struct task *t);
/* setns(2) to what was held. -EPERM, -ENOMEM, -EUSERS. */
long task_setns_held(struct task *t, const struct namespace_set *held, const struct userns *owner);
/* Credentials of a task that just entered ns: all capabilities there. */
int MUST_CHECK cred_enter_userns(const struct cred *old, struct userns *ns, struct cred **out);
uint64_t ipcns_inum(const struct ipcns *ns);
