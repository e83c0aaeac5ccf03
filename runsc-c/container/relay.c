/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/container/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "runsc-c/container/console.h"

int relay_open(struct relay *r, const json_t *size, struct err *e)
{
    int slave = console_open(size, &r->master, e);

    if (slave < 0)
        return -1;
    if (fcntl(r->master, F_SETFL, O_NONBLOCK) < 0) {
        close(slave);
        relay_close(r);
        return err_errno(e, errno, "terminal");
    }
    r->input_open = true;
    return slave;
}

static void write_all(int fd, const char *data, ssize_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, (size_t)size);

        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};

            (void)poll(&p, 1, -1); /* the next write says what happened */
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a reader that is gone does not stop the program */
        data += n;
        size -= n;
    }
}

void relay_copy(struct relay *r, bool input_ready)
{
    char buf[4096];
    ssize_t n;

    while (r->master >= 0 && (n = read(r->master, buf, sizeof(buf))) > 0)
        write_all(STDOUT_FILENO, buf, n);
    if (!input_ready || !r->input_open || r->master < 0)
        return;
    n = read(STDIN_FILENO, buf, sizeof(buf));
    if (n > 0)
        write_all(r->master, buf, n);
    else if (n == 0 || errno != EINTR)
        r->input_open = false;
}

void relay_close(struct relay *r)
{
    if (r->master >= 0)
        close(r->master);
    *r = (struct relay){.master = -1};
}
