/* SPDX-License-Identifier: Apache-2.0 */
/* MSG_WAITALL, MSG_PEEK and SO_RCVLOWAT on TCP streams, with transfers larger than any buffer on the way. recv(2), socket(7). */
#include "tests/support/guest_test.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static void pair(int s[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_EQ(bind(l, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(listen(l, 1), 0);
    CHECK_EQ(getsockname(l, (void *)&a, &len), 0);
    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(s[0], (void *)&a, sizeof(a)), 0);
    s[1] = accept(l, NULL, NULL);
    close(l);
}

struct job {
    int fd;
    size_t size, piece;
};

static void *send_slowly(void *arg)
{
    struct job *j = arg;
    char *buf = malloc(j->piece);

    for (size_t done = 0; done < j->size; done += j->piece) {
        memset(buf, (int)(done / j->piece), j->piece);
        if (send(j->fd, buf, j->piece, 0) != (ssize_t)j->piece)
            break;
    }
    free(buf);
    return NULL;
}

TEST(waitall_takes_all)
{
    enum { SIZE = 1 << 20, PIECE = 1 << 14 };
    char *buf = malloc(SIZE);
    struct job j;
    pthread_t t;
    int s[2];

    pair(s);
    j = (struct job){s[0], SIZE, PIECE};
    pthread_create(&t, NULL, send_slowly, &j);
    CHECK_EQ(recv(s[1], buf, SIZE, MSG_WAITALL), SIZE);
    for (int i = 0; i < SIZE; i += PIECE / 2)
        CHECK_EQ((unsigned char)buf[i], (i / PIECE) & 0xff);
    pthread_join(t, NULL);
    /* The end of the stream ends the wait. */
    CHECK_EQ(send(s[0], "abc", 3, 0), 3);
    shutdown(s[0], SHUT_WR);
    CHECK_EQ(recv(s[1], buf, 10, MSG_WAITALL), 3);
    CHECK_EQ(recv(s[1], buf, 10, MSG_WAITALL), 0);
    close(s[0]);
    close(s[1]);
    free(buf);
}

TEST(peek_leaves_all)
{
    char buf[16] = "";
    int s[2];

    pair(s);
    CHECK_EQ(send(s[0], "0123456789", 10, 0), 10);
    CHECK_EQ(recv(s[1], buf, 4, MSG_PEEK), 4);
    CHECK_EQ(recv(s[1], buf, sizeof(buf), MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT), 10);
    CHECK_EQ(recv(s[1], buf, 5, MSG_PEEK | MSG_WAITALL), 5);
    CHECK_EQ(memcmp(buf, "01234", 5), 0);
    CHECK_EQ(recv(s[1], buf, 3, MSG_TRUNC), 3); /* Linux: thrown away */
    CHECK_EQ(recv(s[1], buf, sizeof(buf), 0), 7);
    CHECK_EQ(memcmp(buf, "3456789", 7), 0);
    CHECK_ERR(recv(s[1], buf, 1, MSG_DONTWAIT | MSG_WAITALL), EAGAIN);
    shutdown(s[0], SHUT_WR);
    CHECK_EQ(recv(s[1], buf, 1, MSG_PEEK), 0);
    close(s[0]);
    close(s[1]);
}

TEST(low_water_mark)
{
    int s[2], mark = 5, on = 1, there = 0;
    struct pollfd pfd;
    struct timeval tv = {0, 300000};
    char buf[16];

    pair(s);
    setsockopt(s[0], IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
    CHECK_EQ(setsockopt(s[1], SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark)), 0);
    CHECK_EQ(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
    CHECK_EQ(send(s[0], "ab", 2, 0), 2);
    pfd = (struct pollfd){.fd = s[1], .events = POLLIN};
    CHECK_EQ(poll(&pfd, 1, 50), 0);
    CHECK_EQ(send(s[0], "cdefg", 5, 0), 5);
    CHECK_EQ(poll(&pfd, 1, -1), 1);
    CHECK_EQ(recv(s[1], buf, sizeof(buf), 0), 7);
    /* The timeout gives what there is. */
    CHECK_EQ(send(s[0], "hi", 2, 0), 2);
    WAIT_UNTIL(ioctl(s[1], FIONREAD, &there) < 0 || there == 2);
    CHECK_EQ(recv(s[1], buf, sizeof(buf), 0), 2);
    CHECK_ERR(recv(s[1], buf, sizeof(buf), 0), EAGAIN);
    close(s[0]);
    close(s[1]);
}

GUEST_TEST_MAIN
