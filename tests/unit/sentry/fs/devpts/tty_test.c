/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sentry/fs/fs_unit.h"

#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devpts/tty_internal.h"

static struct super *g_super;

struct ends {
    struct file *m, *s;
    struct tty *t;
};

static struct ends open_pair(void)
{
    struct ends e;

    assert_int_equal(devpts_open_master(g_super, LX_O_RDWR | LX_O_NONBLOCK, &e.m), 0);
    e.t = tty_file_of(e.m)->tty;
    e.t->locked = false;
    assert_int_equal(devpts_open_slave(e.t, NULL, LX_O_RDWR | LX_O_NONBLOCK, &e.s), 0);
    return e;
}

static void close_pair(struct ends *e)
{
    file_put(e->s);
    file_put(e->m);
}

static void type(struct ends *e, const char *text)
{
    assert_int_equal(unit_write(e->m, text, strlen(text)), (int)strlen(text));
}

static void shows(struct ends *e, const char *want)
{
    char buf[512] = "";
    ssize_t n = unit_read(e->m, buf, sizeof(buf) - 1);

    buf[n > 0 ? n : 0] = '\0';
    assert_string_equal(buf, want);
}

static void reads(struct ends *e, const char *want)
{
    char buf[512] = "";
    ssize_t n = unit_read(e->s, buf, sizeof(buf) - 1);

    assert_true(n >= 0);
    buf[n] = '\0';
    assert_string_equal(buf, want);
}

static void set_flags(struct ends *e, uint32_t lflag_off, uint32_t lflag_on)
{
    struct lx_termios2 t = e->t->termios;

    t.c_lflag = (t.c_lflag & ~lflag_off) | lflag_on;
    tty_lock(e->t);
    ldisc_set_termios_locked(e->t, &t);
    tty_unlock(e->t);
}

static void test_lines(void **state)
{
    struct ends e = open_pair();
    char buf[16];

    type(&e, "ab");
    assert_int_equal(unit_read(e.s, buf, 16), -EAGAIN);
    assert_int_equal(file_poll(e.s) & WAKE_IN, 0);
    type(&e, "c\rnext\n");
    shows(&e, "abc\r\nnext\r\n");
    assert_int_equal(file_poll(e.s) & WAKE_IN, WAKE_IN);
    reads(&e, "abc\n");
    reads(&e, "next\n");
    /* A line in pieces. */
    type(&e, "123456\n");
    assert_int_equal(unit_read(e.s, buf, 4), 4);
    reads(&e, "56\n");
    close_pair(&e);
}

static void test_editing(void **state)
{
    struct ends e = open_pair();

    type(&e, "abx\177c\n");
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
    shows(&e, "a\tb\b \b\b\b\b\b\b\b\bc\r\n"); /* from column 8 back to column 1 */
    reads(&e, "ac\n");
    e.t->termios.c_iflag |= LX_IUTF8;
    type(&e, "\303\244\177b\n");
    shows(&e, "\303\244\b \bb\r\n");
    reads(&e, "b\n");
    close_pair(&e);
}

static void test_eof(void **state)
{
    struct ends e = open_pair();
    char buf[8];

    type(&e, "ab\004");
    reads(&e, "ab");
    type(&e, "\004");
    assert_int_equal(unit_read(e.s, buf, 8), 0);
    type(&e, "abcd\004");
    assert_int_equal(unit_read(e.s, buf, 4), 4);
    assert_int_equal(unit_read(e.s, buf, 4), -EAGAIN); /* the mark went with the full read */
    close_pair(&e);
}

static void test_signals(void **state)
{
    struct ends e = open_pair();
    struct pid *p = calloc(1, sizeof(*p) + sizeof(p->numbers[0]));

    refs_init(&p->refs);
    refs_get(&p->refs);
    e.t->pgrp = p;
    g_unit_group_signal = 0;
    type(&e, "lost\003");
    assert_int_equal(g_unit_group_signal, 2);
    shows(&e, "^C");
    type(&e, "\032");
    assert_int_equal(g_unit_group_signal, 20);
    type(&e, "\034");
    assert_int_equal(g_unit_group_signal, 3);
    shows(&e, "^\\");
    type(&e, "x\n");
    reads(&e, "x\n");
    set_flags(&e, LX_ISIG, 0);
    type(&e, "\003\n");
    reads(&e, "\003\n");
    e.t->pgrp = NULL;
    free(p);
    close_pair(&e);
}

static void test_raw(void **state)
{
    struct ends e = open_pair();
    char buf[16];

    set_flags(&e, LX_ICANON | LX_ECHO | LX_ISIG, 0);
    assert_int_equal(unit_read(e.s, buf, 16), -EAGAIN);
    type(&e, "a\177\003");
    reads(&e, "a\177\003");
    shows(&e, "");
    e.t->termios.c_cc[LX_VMIN] = 3;
    type(&e, "ab");
    assert_int_equal(file_poll(e.s) & WAKE_IN, 0);
    type(&e, "c");
    assert_int_equal(file_poll(e.s) & WAKE_IN, WAKE_IN);
    reads(&e, "abc");
    e.t->termios.c_cc[LX_VMIN] = 0;
    atomic_fetch_and(&e.s->flags, ~LX_O_NONBLOCK);
    assert_int_equal(unit_read(e.s, buf, 16), 0);
    e.t->termios.c_cc[LX_VTIME] = 1;
    assert_int_equal(unit_read(e.s, buf, 16), 0);
    /* What was typed raw is a line of its own after the switch. */
    type(&e, "half");
    set_flags(&e, 0, LX_ICANON);
    reads(&e, "half");
    close_pair(&e);
}

static void test_output_and_flow(void **state)
{
    struct ends e = open_pair();

    assert_int_equal(unit_write(e.s, "a\nb\n", 4), 4);
    shows(&e, "a\r\nb\r\n");
    type(&e, "\023");
    assert_int_equal(unit_write(e.s, "x", 1), -EAGAIN);
    assert_int_equal(file_poll(e.s) & WAKE_OUT, 0);
    type(&e, "\021");
    assert_int_equal(unit_write(e.s, "x", 1), 1);
    shows(&e, "x");
    e.t->termios.c_oflag = LX_OPOST | LX_XTABS;
    assert_int_equal(unit_write(e.s, "\tx", 2), 2);
    close_pair(&e);
}

static void test_long_line(void **state)
{
    struct ends e = open_pair();
    char *line = malloc(6000), *back = malloc(6000);

    set_flags(&e, LX_ECHO, 0);
    memset(line, 'y', 6000);
    line[5999] = '\n';
    assert_int_equal(unit_write(e.m, line, 6000), 6000);
    assert_int_equal(unit_read(e.s, back, 6000), 4096);
    assert_int_equal(back[4095], '\n');
    free(line);
    free(back);
    close_pair(&e);
}

static void test_packet_mode(void **state)
{
    struct ends e = open_pair();
    char buf[8];

    e.t->packet = true;
    assert_int_equal(unit_write(e.s, "hi", 2), 2);
    assert_int_equal(unit_read(e.m, buf, 8), 3);
    assert_memory_equal(buf, "\0hi", 3);
    type(&e, "\023");
    assert_int_equal(file_poll(e.m) & WAKE_PRI, WAKE_PRI);
    assert_int_equal(unit_read(e.m, buf, 8), 1);
    assert_int_equal(buf[0], LX_TIOCPKT_STOP);
    close_pair(&e);
}

static void test_close(void **state)
{
    struct ends e = open_pair();
    char buf[8];

    assert_int_equal(unit_write(e.s, "bye", 3), 3);
    file_put(e.s);
    assert_int_equal(file_poll(e.m) & WAKE_HUP, WAKE_HUP);
    shows(&e, "bye");
    assert_int_equal(unit_read(e.m, buf, 8), -EIO);
    assert_int_equal(devpts_open_slave(e.t, NULL, LX_O_RDWR | LX_O_NONBLOCK, &e.s), 0);
    assert_int_equal(unit_read(e.m, buf, 8), -EAGAIN);
    file_put(e.m);
    assert_int_equal(unit_read(e.s, buf, 8), 0);
    assert_int_equal(unit_write(e.s, "x", 1), -EIO);
    assert_int_equal(file_poll(e.s) & WAKE_HUP, WAKE_HUP);
    file_put(e.s);
}

static void test_numbers(void **state)
{
    struct ends a = open_pair(), b = open_pair();
    struct super *s;

    assert_int_equal(a.t->index, 0);
    assert_int_equal(b.t->index, 1);
    close_pair(&a);
    a = open_pair();
    assert_int_equal(a.t->index, 0);
    close_pair(&a);
    close_pair(&b);
    assert_int_equal(devpts_create("gid=5,mode=620,ptmxmode=666,newinstance", &s), 0);
    super_kill(s);
    super_put(s);
    assert_int_equal(devpts_create("mode=9", &s), -EINVAL);
    assert_int_equal(devpts_create("what=1", &s), -EINVAL);
}

static int setup(void **state)
{
    unit_fs_setup(state);
    return devpts_create(NULL, &g_super);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),     cmocka_unit_test(test_editing),
        cmocka_unit_test(test_eof),       cmocka_unit_test(test_signals),
        cmocka_unit_test(test_raw),       cmocka_unit_test(test_output_and_flow),
        cmocka_unit_test(test_long_line), cmocka_unit_test(test_packet_mode),
        cmocka_unit_test(test_close),     cmocka_unit_test(test_numbers),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
