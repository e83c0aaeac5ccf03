/* SPDX-License-Identifier: Apache-2.0 */
/* Host calls on open descriptors; see file.h. */
#include "platform/host/file.h"

#include <string.h>
#include <sys/ioctl.h>

#include "platform/host/host_internal.h"

int host_close(int fd)
{
    return (int)raw1(SYS_close, fd);
}

int host_eventfd(unsigned value, int flags)
{
    return (int)raw2(SYS_eventfd2, value, flags);
}

int host_fcntl(int fd, int cmd, unsigned long arg)
{
    return (int)raw3(SYS_fcntl, fd, cmd, arg);
}

int host_fcntl_getfl(int fd)
{
    return (int)raw3(SYS_fcntl, fd, F_GETFL, 0);
}

int host_ppoll(struct pollfd *fds, unsigned count, const struct timespec *timeout)
{
    struct timespec left; /* the kernel writes the time left back */

    if (timeout)
        left = *timeout;
    return (int)raw5(SYS_ppoll, fds, count, timeout ? &left : NULL, NULL, 8);
}

ssize_t host_read(int fd, void *buf, size_t size)
{
    return raw3(SYS_read, fd, buf, size);
}

ssize_t host_write(int fd, const void *buf, size_t size)
{
    return raw3(SYS_write, fd, buf, size);
}

ssize_t host_pread(int fd, void *buf, size_t size, int64_t off)
{
    return raw4(SYS_pread64, fd, buf, size, off);
}

ssize_t host_pwrite(int fd, const void *buf, size_t size, int64_t off)
{
    return raw4(SYS_pwrite64, fd, buf, size, off);
}

ssize_t host_preadv2(int fd, const struct iovec *iov, int count, int64_t off, int flags)
{
    return raw6(SYS_preadv2, RAW_ARG(fd), RAW_ARG(iov), RAW_ARG(count), RAW_ARG(off), RAW_ARG(0),
                RAW_ARG(flags));
}

ssize_t host_pwritev2(int fd, const struct iovec *iov, int count, int64_t off, int flags)
{
    return raw6(SYS_pwritev2, RAW_ARG(fd), RAW_ARG(iov), RAW_ARG(count), RAW_ARG(off), RAW_ARG(0),
                RAW_ARG(flags));
}

int64_t host_lseek(int fd, int64_t off, int whence)
{
    return raw3(SYS_lseek, fd, off, whence);
}

int host_ftruncate(int fd, int64_t size)
{
    return (int)raw2(SYS_ftruncate, fd, size);
}

int host_fallocate(int fd, int mode, int64_t off, int64_t size)
{
    return (int)raw4(SYS_fallocate, fd, mode, off, size);
}

int host_fsync(int fd)
{
    return (int)raw1(SYS_fsync, fd);
}

int host_fdatasync(int fd)
{
    return (int)raw1(SYS_fdatasync, fd);
}

int host_fstat(int fd, struct stat *out)
{
    return (int)raw2(SYS_fstat, fd, out);
}

int host_fstatfs(int fd, struct statfs *out)
{
    return (int)raw2(SYS_fstatfs, fd, out);
}

int host_fchmod(int fd, mode_t mode)
{
    return (int)raw2(SYS_fchmod, fd, mode);
}

ssize_t host_fgetxattr(int fd, const char *name, void *buf, size_t size)
{
    return raw4(SYS_fgetxattr, fd, name, buf, size);
}

int host_fsetxattr(int fd, const char *name, const void *buf, size_t size, int flags)
{
    return (int)raw5(SYS_fsetxattr, fd, name, buf, size, flags);
}

ssize_t host_flistxattr(int fd, char *buf, size_t size)
{
    return raw3(SYS_flistxattr, fd, buf, size);
}

int host_fremovexattr(int fd, const char *name)
{
    return (int)raw2(SYS_fremovexattr, fd, name);
}

int host_ioctl_winsize(int fd, struct winsize *out)
{
    return (int)raw3(SYS_ioctl, fd, TIOCGWINSZ, out);
}

/* The kernel's struct termios is the head of glibc's: control characters past its 19 are not sent.
 */
struct kernel_termios {
    tcflag_t iflag, oflag, cflag, lflag;
    cc_t line;
    cc_t cc[19];
};

int host_ioctl_tcgets(int fd, struct termios *out)
{
    struct kernel_termios k;
    long ret = raw3(SYS_ioctl, fd, TCGETS, &k);

    if (ret < 0)
        return (int)ret;
    *out = (struct termios){.c_iflag = k.iflag,
                            .c_oflag = k.oflag,
                            .c_cflag = k.cflag,
                            .c_lflag = k.lflag,
                            .c_line = k.line};
    memcpy(out->c_cc, k.cc, sizeof(k.cc));
    return 0;
}

int host_ioctl_tcsets(int fd, int when, const struct termios *t)
{
    struct kernel_termios k = {.iflag = t->c_iflag,
                               .oflag = t->c_oflag,
                               .cflag = t->c_cflag,
                               .lflag = t->c_lflag,
                               .line = t->c_line};

    memcpy(k.cc, t->c_cc, sizeof(k.cc));
    return (int)raw3(SYS_ioctl, fd, TCSETS + when, &k);
}

int host_ioctl_fionread(int fd, int *out_size)
{
    return (int)raw3(SYS_ioctl, fd, FIONREAD, out_size);
}
