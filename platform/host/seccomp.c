/* SPDX-License-Identifier: Apache-2.0 */
/* Installs the generated filters; see seccomp.h. */
#include "platform/host/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "platform/base/assert.h"
#include "platform/host/host_internal.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64) /* 6.6 */
#endif

/* gen/host_filters.c, written by host_filter_gen from syscall-table/host.tbl. */
extern const struct host_filter g_host_filters[HOST_ROLE_COUNT];

const struct host_filter *host_filter(enum host_role role)
{
    ASSERT(role < HOST_ROLE_COUNT);
    return &g_host_filters[role];
}

int host_seccomp_install(enum host_role role)
{
    const struct host_filter *f = host_filter(role);
    /* SAFETY: the kernel only reads the program; its type lacks the const. */
    struct sock_fprog prog = {(unsigned short)f->count, (struct sock_filter *)(uintptr_t)f->code};
    long ret;

    ret = raw5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (ret < 0)
        return (int)ret;
    ret = raw3(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
    /* A positive value names a thread that could not be brought along. */
    return ret > 0 ? -ESRCH : (int)ret;
}

int host_seccomp_receive(int listener, struct seccomp_notif *out)
{
    return (int)raw3(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_RECV, out);
}

int host_seccomp_send(int listener, const struct seccomp_notif_resp *resp)
{
    return (int)raw3(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
}

int host_seccomp_set_sync(int listener)
{
    return (int)raw3(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1);
}
