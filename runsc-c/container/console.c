/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/container/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static int open_pty(int *out_slave, struct err *e)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios raw;
    char name[64];

    if (master < 0)
        return err_errno(e, errno, "cannot allocate a terminal");
    if (grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, name, sizeof(name)) != 0 ||
        (*out_slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        (void)err_errno(e, errno, "cannot open the terminal");
        close(master);
        return -1;
    }
    if (tcgetattr(*out_slave, &raw) == 0) {
        cfmakeraw(&raw);
        (void)tcsetattr(*out_slave, TCSANOW, &raw); /* a pty takes any setting */
    }
    return master;
}

/* sun_path is short: a long path is reached through a descriptor of its directory. */
static int connect_to(const char *path, struct err *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const char *base = strrchr(path, '/');
    int dir = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ret;

    if (strlen(path) < sizeof(addr.sun_path)) {
        snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    } else {
        char *parent = strndup(path, base ? (size_t)(base - path) : 0);

        dir = open(parent && *parent ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        free(parent);
        snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%.60s", dir,
                 base ? base + 1 : path);
    }
    ret = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&addr, sizeof(addr));
    if (ret < 0) {
        (void)err_errno(e, errno, "--console-socket: dial unix %s", path);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    if (dir >= 0)
        close(dir);
    return fd;
}

static int send_fd(int socket_fd, int fd, struct err *e)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char name[] = "/dev/ptmx";
    struct iovec iov = {name, sizeof(name) - 1};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control)};
    struct cmsghdr *c;

    memset(&control, 0, sizeof(control));
    c = CMSG_FIRSTHDR(&mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(int));
    return sendmsg(socket_fd, &mh, MSG_NOSIGNAL) < 0 ? err_errno(e, errno, "--console-socket") : 0;
}

int console_open(const json_t *size, int *out_master, struct err *e)
{
    struct winsize w = {
        .ws_row = (unsigned short)json_integer_value(json_object_get(size, "height")),
        .ws_col = (unsigned short)json_integer_value(json_object_get(size, "width"))};
    int slave = -1;

    *out_master = open_pty(&slave, e);
    if (*out_master < 0)
        return -1;
    if (size)
        (void)ioctl(*out_master, TIOCSWINSZ, &w); /* a size is not worth failing for */
    return slave;
}

int console_send(const char *path, const json_t *size, struct err *e)
{
    int socket_fd = connect_to(path, e), master, slave, ret;

    if (socket_fd < 0)
        return -1;
    slave = console_open(size, &master, e);
    if (slave < 0) {
        close(socket_fd);
        return -1;
    }
    ret = send_fd(socket_fd, master, e);
    close(master);
    close(socket_fd);
    if (ret < 0) {
        close(slave);
        return -1;
    }
    return slave;
}
