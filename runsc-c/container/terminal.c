/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/container/terminal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static struct termios g_saved;
static int g_saved_fd = -1;

int terminal_find(void)
{
    struct stat in, out;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return -1;
    if (fstat(STDIN_FILENO, &in) < 0 || fstat(STDOUT_FILENO, &out) < 0 || in.st_rdev != out.st_rdev)
        return -1;
    return STDIN_FILENO;
}

int terminal_raw(int fd, struct err *e)
{
    struct termios raw;

    if (tcgetattr(fd, &g_saved) < 0)
        return err_errno(e, errno, "terminal");
    raw = g_saved;
    cfmakeraw(&raw);
    if (tcsetattr(fd, TCSANOW, &raw) < 0)
        return err_errno(e, errno, "terminal");
    g_saved_fd = fd;
    return 0;
}

void terminal_restore(void)
{
    if (g_saved_fd >= 0)
        tcsetattr(g_saved_fd, TCSADRAIN, &g_saved);
    g_saved_fd = -1;
}

json_t *terminal_resize_request(int fd)
{
    struct winsize w;

    if (ioctl(fd, TIOCGWINSZ, &w) < 0)
        return NULL;
    return json_pack("{s:s, s:i, s:i, s:b}", "op", "resize", "rows", w.ws_row, "cols", w.ws_col,
                     "quiet", 1);
}
