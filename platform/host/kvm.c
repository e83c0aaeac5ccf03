/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on virtual machines; see kvm.h. */
#include "platform/host/kvm.h"

#include "platform/host/host_internal.h"

int host_kvm_number(int fd, unsigned long request, unsigned long arg)
{
    return (int)raw3(SYS_ioctl, fd, request, arg);
}

int host_kvm(int fd, unsigned long request, void *arg)
{
    return (int)raw3(SYS_ioctl, fd, request, arg);
}
