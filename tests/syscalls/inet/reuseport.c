/* SPDX-License-Identifier: Apache-2.0 */
/* SO_REUSEPORT: several sockets of one user share a port and the load on it. socket(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { MEMBERS = 3, COUNT = 120 };

static struct sockaddr_in addr;

static int member(int type, bool reuse)
{
    int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0), on = reuse;
    socklen_t len = sizeof(addr);

    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    if (bind(fd, (void *)&addr, len) || (type == SOCK_STREAM && listen(fd, COUNT))) {
        close(fd);
        return -1;
    }
    CHECK_EQ(getsockname(fd, (void *)&addr, &len), 0);
    return fd;
}

static void members(int fds[], int type)
{
    addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < MEMBERS; i++)
        CHECK((fds[i] = member(type, true)) >= 0);
}

/* Takes what arrived at fd, returns how much. */
static int drain(int fd, int type)
{
    char buf[8];
    int n = 0, c;

    for (;; n++) {
        if (type == SOCK_STREAM) {
            c = accept(fd, NULL, NULL);
            if (c < 0)
                return n;
            close(c);
        } else if (recv(fd, buf, sizeof(buf), 0) < 0) {
            return n;
        }
    }
}

static void send_all(int type)
{
    for (int i = 0; i < COUNT; i++) {
        int c = socket(AF_INET, type, 0);

        CHECK_EQ(connect(c, (void *)&addr, sizeof(addr)), 0);
        if (type == SOCK_DGRAM)
            CHECK_EQ(send(c, "x", 1, 0), 1);
        close(c);
    }
}

static void balance(int type)
{
    int fds[MEMBERS], got, sum = 0;

    members(fds, type);
    CHECK_EQ(member(type, false), -1);
    send_all(type);
    for (int i = 0; i < MEMBERS; i++) {
        got = drain(fds[i], type);
        CHECK(got > 0);
        sum += got;
    }
    CHECK_EQ(sum, COUNT);
    /* Who leaves gets nothing more, and nothing is lost. */
    close(fds[0]);
    send_all(type);
    sum = drain(fds[1], type);
    sum += drain(fds[2], type);
    CHECK_EQ(sum, COUNT);
    close(fds[1]);
    close(fds[2]);
}

TEST(connections_are_shared)
{
    balance(SOCK_STREAM);
}

TEST(datagrams_are_shared)
{
    balance(SOCK_DGRAM);
}

GUEST_TEST_MAIN
