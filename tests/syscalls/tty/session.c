/* SPDX-License-Identifier: Apache-2.0 */
/* Controlling terminals and job control, credentials(7), tty_ioctl(4). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <sys/ioctl.h>
#include <termios.h>

static int g_master;
static char g_name[64];

static bool open_master(void)
{
    g_master = posix_openpt(O_RDWR | O_NOCTTY);
    return g_master >= 0 && unlockpt(g_master) == 0 &&
           ptsname_r(g_master, g_name, sizeof(g_name)) == 0;
}

static void in_new_session(void (*fn)(void))
{
    CHECK_EQ(test_in_child(fn), 0);
}

static void acquire(void)
{
    int s, tty;

    setsid();
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    s = open(g_name, O_RDWR);
    REQUIRE(s >= 0);
    CHECK_EQ(tcgetpgrp(s), getpid());
    CHECK_EQ(tcgetsid(s), getpid());
    tty = open("/dev/tty", O_RDWR);
    CHECK(tty >= 0);
    CHECK_EQ(tcgetpgrp(tty), getpid());
    CHECK_EQ(tcgetpgrp(g_master), getpid());
    CHECK_ERR(tcsetpgrp(s, 999999), ESRCH);
    signal(SIGHUP, SIG_IGN);
    CHECK_EQ(ioctl(s, TIOCNOTTY), 0);
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    CHECK_ERR(tcgetpgrp(s), ENOTTY);
    CHECK_EQ(ioctl(s, TIOCSCTTY, 0), 0);
    CHECK_EQ(tcgetpgrp(s), getpid());
    CHECK_EQ(ioctl(s, TIOCNOTTY), 0);
}

TEST(acquire_and_drop)
{
    REQUIRE(open_master());
    in_new_session(acquire);
    close(g_master);
}

static volatile int g_signal;

static void note(int signo)
{
    g_signal = signo;
}

static void interrupt_keys(void)
{
    struct sigaction sa = {.sa_handler = note};
    const struct {
        char key;
        int signo;
    } keys[] = {{3, SIGINT}, {28, SIGQUIT}, {26, SIGTSTP}};
    int s;

    setsid();
    s = open(g_name, O_RDWR);
    REQUIRE(s >= 0);
    for (int i = 0; i < 3; i++) {
        sigaction(keys[i].signo, &sa, NULL);
        g_signal = 0;
        CHECK_EQ(write(g_master, &keys[i].key, 1), 1);
        WAIT_UNTIL(g_signal);
        CHECK_EQ(g_signal, keys[i].signo);
    }
    sigaction(SIGWINCH, &sa, NULL);
    struct winsize ws = {.ws_row = 3, .ws_col = 4};
    CHECK_EQ(ioctl(g_master, TIOCSWINSZ, &ws), 0);
    WAIT_UNTIL(g_signal == SIGWINCH);
    signal(SIGHUP, SIG_IGN);
}

TEST(keys_signal_the_foreground)
{
    REQUIRE(open_master());
    in_new_session(interrupt_keys);
    close(g_master);
}

static void background(void)
{
    int s, status, sync[2];
    pid_t pid;
    char c;

    setsid();
    s = open(g_name, O_RDWR);
    REQUIRE(s >= 0 && pipe(sync) == 0);
    signal(SIGHUP, SIG_IGN);
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        if (write(sync[1], "x", 1) != 1)
            _exit(9);
        _exit(read(s, &c, 1) == 1 && c == 'k' ? 0 : 1); /* SIGTTIN stops it */
    }
    CHECK_EQ(read(sync[0], &c, 1), 1);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
    CHECK_EQ(tcsetpgrp(s, pid), 0);
    CHECK_EQ(kill(pid, SIGCONT), 0);
    CHECK_EQ(write(g_master, "k\n", 2), 2);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    /* In the background ourselves: taking the terminal back needs SIGTTOU out of the way. */
    signal(SIGTTOU, SIG_IGN);
    CHECK_EQ(tcsetpgrp(s, getpid()), 0);
    CHECK_EQ(tcgetpgrp(s), getpid());
}

TEST(background_reader_stops)
{
    REQUIRE(open_master());
    in_new_session(background);
    close(g_master);
}

TEST(leader_exit_signals_the_foreground)
{
    int back[2];
    char c = 0;
    pid_t pid;

    REQUIRE(open_master() && pipe(back) == 0);
    pid = fork();
    if (pid == 0) {
        int s, sync[2];

        setsid();
        s = open(g_name, O_RDWR);
        if (s < 0 || pipe(sync) < 0)
            _exit(1);
        if (fork() == 0) {
            g_signal = 0;
            signal(SIGHUP, note);
            if (write(sync[1], "x", 1) != 1)
                _exit(1);
            alarm(test_seconds());
            WAIT_UNTIL(g_signal == SIGHUP);
            c = 'H';
            if (tcgetpgrp(s) != -1 || write(s, "x", 1) != 1) /* free, but not hung up */
                c = '?';
            _exit(write(back[1], &c, 1) == 1 ? 0 : 1);
        }
        _exit(read(sync[0], &c, 1) == 1 ? 0 : 1);
    }
    waitpid(pid, NULL, 0);
    close(back[1]);
    CHECK_EQ(read(back[0], &c, 1), 1);
    CHECK_EQ(c, 'H');
    close(back[0]);
    close(g_master);
}

GUEST_TEST_MAIN
