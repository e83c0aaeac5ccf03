/* SPDX-License-Identifier: Apache-2.0 */
/* pty(7), termios(3): both ends of a pseudo-terminal in one process. */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

struct ends {
    int m, s;
};

static bool open_pair(struct ends *e)
{
    char name[64];

    e->m = posix_openpt(O_RDWR | O_NOCTTY);
    if (e->m < 0 || grantpt(e->m) < 0 || unlockpt(e->m) < 0 ||
        ptsname_r(e->m, name, sizeof(name)) != 0)
        return false;
    e->s = open(name, O_RDWR | O_NOCTTY);
    return e->s >= 0;
}

static void close_pair(struct ends *e)
{
    close(e->s);
    close(e->m);
}

static void type(struct ends *e, const char *text)
{
    CHECK_EQ(write(e->m, text, strlen(text)), strlen(text));
}

/* Everything the terminal shows until it holds n bytes. */
static void shows(struct ends *e, const char *want)
{
    char buf[512];
    size_t got = 0;
    struct pollfd p = {.fd = e->m, .events = POLLIN};

    while (got < strlen(want) && poll(&p, 1, -1) == 1) {
        ssize_t n = read(e->m, buf + got, sizeof(buf) - 1 - got);

        if (n <= 0)
            break;
        got += (size_t)n;
    }
    buf[got] = '\0';
    CHECK_STR(buf, want);
}

static void reads(struct ends *e, const char *want)
{
    char buf[512];
    ssize_t n = read(e->s, buf, sizeof(buf) - 1);

    buf[n > 0 ? n : 0] = '\0';
    CHECK_STR(buf, want);
}

TEST(defaults)
{
    struct termios t;
    struct winsize ws = {0};
    struct ends e;
    int n = -1;

    REQUIRE(open_pair(&e));
    CHECK(isatty(e.s));
    CHECK(isatty(e.m));
    CHECK_EQ(tcgetattr(e.s, &t), 0);
    CHECK_EQ(t.c_iflag, ICRNL | IXON);
    CHECK_EQ(t.c_oflag, OPOST | ONLCR);
    CHECK_EQ(t.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
    CHECK_EQ(t.c_cc[VINTR], 3);
    CHECK_EQ(t.c_cc[VERASE], 127);
    CHECK_EQ(cfgetospeed(&t), B38400);
    CHECK_EQ(ioctl(e.s, TIOCGWINSZ, &ws), 0);
    CHECK_EQ(ws.ws_row, 0);
    ws.ws_row = 40;
    ws.ws_col = 132;
    CHECK_EQ(ioctl(e.m, TIOCSWINSZ, &ws), 0);
    ws.ws_row = 0;
    CHECK_EQ(ioctl(e.s, TIOCGWINSZ, &ws), 0);
    CHECK_EQ(ws.ws_row, 40);
    CHECK_EQ(ioctl(e.m, TIOCGPTN, &n), 0);
    CHECK(n >= 0);
    CHECK_ERR(ioctl(e.s, TIOCGPTN, &n), ENOTTY);
    CHECK_ERR(ioctl(e.s, TIOCGPGRP, &n), ENOTTY);
    CHECK_ERR(ioctl(e.s, TIOCGSID, &n), ENOTTY);
    close_pair(&e);
}

TEST(locked_until_unlockpt)
{
    char name[64];
    int m = posix_openpt(O_RDWR | O_NOCTTY), s;

    REQUIRE(m >= 0 && ptsname_r(m, name, sizeof(name)) == 0);
    CHECK_ERR(open(name, O_RDWR | O_NOCTTY), EIO);
    CHECK_EQ(unlockpt(m), 0);
    s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    CHECK(s >= 0);
    CHECK(isatty(s));
    close(s);
    close(m);
    CHECK_ERR(open(name, O_RDWR | O_NOCTTY), ENOENT);
}

TEST(lines_and_editing)
{
    struct ends e;

    REQUIRE(open_pair(&e));
    type(&e, "abx\177c\r");
    shows(&e, "abx\b \bc\r\n");
    reads(&e, "abc\n");
    type(&e, "one two\027three\n");
    shows(&e, "one two\b \b\b \b\b \bthree\r\n");
    reads(&e, "one three\n");
    type(&e, "gone\025kept\n");
    shows(&e, "gone\b \b\b \b\b \b\b \bkept\r\n");
    reads(&e, "kept\n");
    type(&e, "\026\003x\n");
    shows(&e, "^\b^Cx\r\n");
    reads(&e, "\003x\n");
    type(&e, "a\tb\177\177c\n");
    shows(&e, "a\tb\b \b\b\b\b\b\b\b\bc\r\n");
    reads(&e, "ac\n");
    type(&e, "first\nsecond\n");
    reads(&e, "first\n");
    reads(&e, "second\n");
    close_pair(&e);
}

TEST(end_of_file)
{
    char buf[8];
    struct ends e;

    REQUIRE(open_pair(&e));
    type(&e, "ab\004");
    reads(&e, "ab");
    type(&e, "\004");
    CHECK_EQ(read(e.s, buf, 8), 0);
    close_pair(&e);
}

TEST(raw)
{
    struct termios t;
    struct pollfd p = {.events = POLLIN};
    struct ends e;
    char buf[8];

    REQUIRE(open_pair(&e));
    tcgetattr(e.s, &t);
    cfmakeraw(&t);
    CHECK_EQ(tcsetattr(e.s, TCSANOW, &t), 0);
    type(&e, "a\177\003");
    reads(&e, "a\177\003");
    t.c_cc[VMIN] = 3;
    CHECK_EQ(tcsetattr(e.s, TCSANOW, &t), 0);
    type(&e, "ab");
    p.fd = e.s;
    CHECK_EQ(poll(&p, 1, 0), 0);
    type(&e, "c");
    CHECK_EQ(poll(&p, 1, -1), 1);
    reads(&e, "abc");
    t.c_cc[VMIN] = 0;
    CHECK_EQ(tcsetattr(e.s, TCSANOW, &t), 0);
    CHECK_EQ(read(e.s, buf, 8), 0);
    t.c_cc[VTIME] = 1;
    CHECK_EQ(tcsetattr(e.s, TCSANOW, &t), 0);
    long long start = test_now_ms();
    CHECK_EQ(read(e.s, buf, 8), 0);
    CHECK(test_now_ms() - start >= 90);
    close_pair(&e);
}

TEST(output_processing)
{
    struct ends e;
    struct termios t;

    REQUIRE(open_pair(&e));
    CHECK_EQ(write(e.s, "a\nb\n", 4), 4);
    shows(&e, "a\r\nb\r\n");
    tcgetattr(e.s, &t);
    t.c_oflag &= ~(tcflag_t)OPOST;
    tcsetattr(e.s, TCSANOW, &t);
    CHECK_EQ(write(e.s, "a\nb", 3), 3);
    shows(&e, "a\nb");
    close_pair(&e);
}

/* TIOCSLCKTRMIOS: what is set in these does not change, from either end. */
TEST(fixed_settings)
{
    struct termios t, want, fixed;
    struct ends e;

    REQUIRE(open_pair(&e));
    memset(&fixed, 0xff, sizeof(fixed));
    CHECK_EQ(ioctl(e.m, TIOCGLCKTRMIOS, &fixed), 0);
    CHECK_EQ(fixed.c_iflag | fixed.c_oflag | fixed.c_cflag | fixed.c_lflag, 0);
    CHECK_EQ(fixed.c_line | fixed.c_cc[VINTR], 0);
    CHECK_ERR(ioctl(e.s, TIOCGLCKTRMIOS, NULL), EFAULT);
    if (geteuid() != 0) {
        CHECK_ERR(ioctl(e.s, TIOCSLCKTRMIOS, NULL), EPERM);
        close_pair(&e);
        return;
    }
    CHECK_ERR(ioctl(e.s, TIOCSLCKTRMIOS, NULL), EFAULT);
    fixed.c_lflag = ECHO;
    fixed.c_cc[VEOF] = 1;
    CHECK_EQ(ioctl(e.s, TIOCSLCKTRMIOS, &fixed), 0);
    CHECK_EQ(tcgetattr(e.s, &t), 0);
    want = t;
    t.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    t.c_cc[VEOF] = 'x';
    t.c_cc[VINTR] = 'y';
    want.c_lflag &= ~(tcflag_t)ICANON;
    want.c_cc[VINTR] = 'y';
    CHECK_EQ(tcsetattr(e.m, TCSANOW, &t), 0);
    CHECK_EQ(tcgetattr(e.s, &t), 0);
    CHECK_EQ(t.c_lflag, want.c_lflag);
    CHECK_EQ(t.c_cc[VEOF], want.c_cc[VEOF]);
    CHECK_EQ(t.c_cc[VINTR], want.c_cc[VINTR]);
    memset(&fixed, 0, sizeof(fixed));
    CHECK_EQ(ioctl(e.m, TIOCGLCKTRMIOS, &fixed), 0);
    CHECK_EQ(fixed.c_lflag, ECHO);
    CHECK_EQ(fixed.c_cc[VEOF], 1);
    CHECK_EQ(fixed.c_cc[VINTR], 0);
    memset(&fixed, 0, sizeof(fixed));
    CHECK_EQ(ioctl(e.m, TIOCSLCKTRMIOS, &fixed), 0);
    t.c_lflag &= ~(tcflag_t)ECHO;
    CHECK_EQ(tcsetattr(e.s, TCSANOW, &t), 0);
    CHECK_EQ(tcgetattr(e.s, &t), 0);
    CHECK_EQ(t.c_lflag & ECHO, 0);
    close_pair(&e);
}

TEST(hang_up)
{
    struct pollfd p = {.events = POLLIN};
    struct ends e;
    char buf[8];

    REQUIRE(open_pair(&e));
    CHECK_EQ(write(e.s, "bye", 3), 3);
    close(e.s);
    p.fd = e.m;
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK(p.revents & POLLHUP);
    shows(&e, "bye");
    CHECK_ERR(read(e.m, buf, 8), EIO);
    close(e.m);
    REQUIRE(open_pair(&e));
    close(e.m);
    CHECK_EQ(read(e.s, buf, 8), 0);
    CHECK_ERR(write(e.s, "x", 1), EIO);
    CHECK_ERR(ioctl(e.s, TCGETS, buf), EIO);
    close(e.s);
}

TEST(packet_mode)
{
    struct ends e;
    char buf[8];
    int on = 1;

    REQUIRE(open_pair(&e));
    CHECK_EQ(ioctl(e.m, TIOCPKT, &on), 0);
    CHECK_EQ(write(e.s, "hi", 2), 2);
    CHECK_EQ(read(e.m, buf, 8), 3);
    CHECK(memcmp(buf, "\0hi", 3) == 0);
    CHECK_EQ(tcflush(e.s, TCIFLUSH), 0);
    CHECK_EQ(read(e.m, buf, 8), 1);
    CHECK_EQ(buf[0], TIOCPKT_FLUSHREAD);
    CHECK_ERR(ioctl(e.s, TIOCPKT, &on), ENOTTY);
    close_pair(&e);
}

TEST(queue_sizes)
{
    struct ends e;
    int n = -1;

    REQUIRE(open_pair(&e));
    type(&e, "abc");
    CHECK_EQ(ioctl(e.s, FIONREAD, &n), 0);
    CHECK_EQ(n, 0);
    type(&e, "\n");
    /* Linux moves input from the master to the line discipline in the background. */
    WAIT_UNTIL(ioctl(e.s, FIONREAD, &n) < 0 || n == 4);
    CHECK_EQ(n, 4);
    CHECK_EQ(tcflush(e.s, TCIFLUSH), 0);
    CHECK_EQ(ioctl(e.s, FIONREAD, &n), 0);
    CHECK_EQ(n, 0);
    close_pair(&e);
}

GUEST_TEST_MAIN
