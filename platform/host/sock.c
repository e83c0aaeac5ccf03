/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on donated sockets; see sock.h. */
#include "platform/host/sock.h"

#include "platform/host/host_internal.h"

ssize_t host_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    return raw3(SYS_sendmsg, fd, msg, flags);
}

ssize_t host_recvmsg(int fd, struct msghdr *msg, int flags)
{
    return raw3(SYS_recvmsg, fd, msg, flags);
}

ssize_t host_send(int fd, const void *buf, size_t size, int flags)
{
    return raw6(SYS_sendto, fd, RAW_ARG(buf), RAW_ARG(size), flags, 0, 0);
}

int host_shutdown(int fd, int how)
{
    return (int)raw2(SYS_shutdown, fd, how);
}
