/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on the caller's own memory; see mem.h. */
#include "platform/host/mem.h"

#include "platform/host/host_internal.h"

int host_memfd_create(const char *name, unsigned flags)
{
    return (int)raw2(SYS_memfd_create, name, flags);
}

int host_mmap(void *addr, size_t size, int prot, int flags, int fd, int64_t off, void **out)
{
    long ret = raw6(SYS_mmap, RAW_ARG(addr), RAW_ARG(size), prot, flags, fd, off);

    if (ret < 0 && ret > -4096)
        return (int)ret;
    /* SAFETY: the kernel's answer is the address of the new mapping. */
    *out = (void *)ret;
    return 0;
}

int host_munmap(void *addr, size_t size)
{
    return (int)raw2(SYS_munmap, addr, size);
}

int host_madvise(void *addr, size_t size, int advice)
{
    return (int)raw3(SYS_madvise, addr, size, advice);
}
