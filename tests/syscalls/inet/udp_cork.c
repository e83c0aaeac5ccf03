/* SPDX-License-Identifier: Apache-2.0 */
/* UDP_CORK and MSG_MORE: several sends make one datagram. udp(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

static struct sockaddr_in addr_of[2];

/* Two bound sockets; s[0] is connected to s[1]. */
static void pair(int s[2])
{
    socklen_t len = sizeof(addr_of[0]);

    for (int i = 0; i < 2; i++) {
        addr_of[i] =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        s[i] = socket(AF_INET, SOCK_DGRAM, 0);
        CHECK_EQ(bind(s[i], (void *)&addr_of[i], len), 0);
        CHECK_EQ(getsockname(s[i], (void *)&addr_of[i], &len), 0);
    }
    CHECK_EQ(connect(s[0], (void *)&addr_of[1], len), 0);
}

static void cork(int fd, int on)
{
    CHECK_EQ(setsockopt(fd, SOL_UDP, UDP_CORK, &on, sizeof(on)), 0);
}

TEST(more_joins_with_the_next_send)
{
    char buf[32] = "";
    int s[2];

    pair(s);
    CHECK_EQ(send(s[0], "ab", 2, MSG_MORE), 2);
    CHECK_ERR(recv(s[1], buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(send(s[0], "c", 1, MSG_MORE), 1);
    /* The first part chose where it all goes. */
    CHECK_EQ(sendto(s[0], "de", 2, 0, (void *)&addr_of[0], sizeof(addr_of[0])), 2);
    CHECK_EQ(recv(s[1], buf, sizeof(buf), 0), 5);
    CHECK_STR(buf, "abcde");
    CHECK_EQ(send(s[0], "alone", 5, 0), 5);
    CHECK_EQ(recv(s[1], buf, sizeof(buf), 0), 5);
    close(s[0]);
    close(s[1]);
}

TEST(cork_holds_until_it_is_pulled)
{
    char buf[32] = "";
    int s[2], v = 0;
    socklen_t len = sizeof(v);

    pair(s);
    cork(s[0], 1);
    CHECK_EQ(getsockopt(s[0], SOL_UDP, UDP_CORK, &v, &len), 0);
    CHECK_EQ(v, 1);
    CHECK_EQ(send(s[0], "one", 3, 0), 3);
    CHECK_EQ(send(s[0], "two", 3, 0), 3);
    CHECK_ERR(recv(s[1], buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
    cork(s[0], 0);
    CHECK_EQ(recv(s[1], buf, sizeof(buf), 0), 6);
    CHECK_STR(buf, "onetwo");
    cork(s[0], 1);
    cork(s[0], 0);
    CHECK_ERR(recv(s[1], buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
    close(s[0]);
    close(s[1]);
}

TEST(too_much_is_dropped_whole)
{
    static char big[40000];
    char buf[8];
    int s[2];

    pair(s);
    CHECK_EQ(send(s[0], big, sizeof(big), MSG_MORE), sizeof(big));
    CHECK_ERR(send(s[0], big, sizeof(big), MSG_MORE), EMSGSIZE);
    CHECK_EQ(send(s[0], "new", 3, 0), 3);
    CHECK_EQ(recv(s[1], buf, sizeof(buf), MSG_TRUNC), 3);
    /* What waits is forgotten with the socket. */
    CHECK_EQ(send(s[0], "lost", 4, MSG_MORE), 4);
    close(s[0]);
    CHECK_ERR(recv(s[1], buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
    close(s[1]);
}

GUEST_TEST_MAIN
