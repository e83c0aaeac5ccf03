/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line discipline (N_TTY), termios(3). Everything here runs under tty.lock and only moves bytes
 * between rings, marks wakes in t->wake and sends signals to the foreground group.
 *
 * The input ring holds finished lines [tail, canon_head) and, in canonical mode, the line being
 * typed [canon_head, head), which alone can be edited. line_end has a bit for each byte that ends a
 * read: the newline, VEOL, or the VEOF mark, which is stored as a zero byte with the bit set and
 * never copied. In raw mode canon_head means nothing and all of [tail, head) is readable.
 *
 * c_cc values of 0 are "disabled" and match nothing.
 */
#include <string.h>

#include "sentry/abi/signal.h"
#include "sentry/fs/devpts/tty_internal.h"

#define RING_AT(i) ((i) & (TTY_RING_SIZE - 1))

static bool iflag(const struct tty *t, uint32_t f)
{
    return t->termios.c_iflag & f;
}

static bool oflag(const struct tty *t, uint32_t f)
{
    return t->termios.c_oflag & f;
}

static bool lflag(const struct tty *t, uint32_t f)
{
    return t->termios.c_lflag & f;
}

static bool is_cc(const struct tty *t, int which, uint8_t c)
{
    return c != 0 && t->termios.c_cc[which] == c;
}

static bool is_control(uint8_t c)
{
    return c < 0x20 || c == 0x7f;
}

static bool is_continuation(const struct tty *t, uint8_t c)
{
    return iflag(t, LX_IUTF8) && (c & 0xc0) == 0x80;
}

static bool line_end_test(const struct tty *t, uint32_t i)
{
    return t->line_end[RING_AT(i) / 8] >> (RING_AT(i) % 8) & 1;
}

static void line_end_set(struct tty *t, uint32_t i, bool on)
{
    uint8_t bit = (uint8_t)(1u << (RING_AT(i) % 8));

    if (on)
        t->line_end[RING_AT(i) / 8] |= bit;
    else
        t->line_end[RING_AT(i) / 8] &= (uint8_t)~bit;
}

static void ring_put(struct tty_ring *r, uint8_t c)
{
    r->data[RING_AT(r->head)] = c;
    r->head++;
}

/* ---- output ---------------------------------------------------------------------------------- */

bool ldisc_put_output_locked(struct tty *t, uint8_t c)
{
    if (tty_ring_room(&t->out) == 0)
        return false;
    ring_put(&t->out, c);
    t->wake |= TTY_WAKE_MASTER_IN;
    return true;
}

static void put_spaces(struct tty *t, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        ring_put(&t->out, ' ');
}

/* One byte through OPOST; needs 8 bytes of room. */
static void output_char(struct tty *t, uint8_t c)
{
    uint32_t spaces;

    switch (c) {
    case '\n':
        if (oflag(t, LX_ONLRET))
            t->column = 0;
        if (oflag(t, LX_ONLCR)) {
            ring_put(&t->out, '\r');
            t->column = t->canon_column = 0;
        }
        break;
    case '\r':
        if (oflag(t, LX_ONOCR) && t->column == 0)
            return;
        if (oflag(t, LX_OCRNL)) {
            c = '\n';
            if (oflag(t, LX_ONLRET))
                t->column = t->canon_column = 0;
            break;
        }
        t->column = t->canon_column = 0;
        break;
    case '\t':
        spaces = 8 - (t->column & 7);
        t->column += spaces;
        if ((t->termios.c_oflag & LX_TABDLY) == LX_XTABS) {
            put_spaces(t, spaces);
            return;
        }
        break;
    case '\b':
        if (t->column > 0)
            t->column--;
        break;
    default:
        if (is_control(c))
            break;
        if (oflag(t, LX_OLCUC) && c >= 'a' && c <= 'z')
            c = (uint8_t)(c - 'a' + 'A');
        if (!is_continuation(t, c))
            t->column++;
        break;
    }
    ring_put(&t->out, c);
}

size_t ldisc_write_locked(struct tty *t, const uint8_t *data, size_t size)
{
    size_t n = 0;

    if (t->stopped)
        return 0;
    if (!oflag(t, LX_OPOST)) {
        for (; n < size && tty_ring_room(&t->out) > 0; n++)
            ring_put(&t->out, data[n]);
    } else {
        for (; n < size && tty_ring_room(&t->out) >= 8; n++)
            output_char(t, data[n]);
    }
    if (n > 0)
        t->wake |= TTY_WAKE_MASTER_IN;
    return n;
}

/* ---- echo ------------------------------------------------------------------------------------ */

/* Echo that finds no room is lost. */
static void echo_raw(struct tty *t, uint8_t c)
{
    if (tty_ring_room(&t->out) < 8)
        return;
    if (oflag(t, LX_OPOST))
        output_char(t, c);
    else
        ring_put(&t->out, c);
    t->wake |= TTY_WAKE_MASTER_IN;
}

static void echo_char(struct tty *t, uint8_t c)
{
    if (lflag(t, LX_ECHOCTL) && is_control(c) && c != '\t') {
        echo_raw(t, '^');
        echo_raw(t, c ^ 0x40);
    } else {
        echo_raw(t, c);
    }
}

static void finish_erasing(struct tty *t)
{
    if (!t->erasing)
        return;
    echo_raw(t, '/');
    t->erasing = false;
}

static void echo_rubout(struct tty *t)
{
    echo_raw(t, '\b');
    echo_raw(t, ' ');
    echo_raw(t, '\b');
}

/* Column after the bytes of the line being edited. */
static uint32_t edited_column(const struct tty *t)
{
    uint32_t col = t->canon_column;

    for (uint32_t i = t->canon_head; i != t->in.head; i++) {
        uint8_t c = t->in.data[RING_AT(i)];

        if (c == '\t')
            col += 8 - (col & 7);
        else if (is_control(c))
            col += lflag(t, LX_ECHOCTL) ? 2 : 0;
        else if (!is_continuation(t, c))
            col++;
    }
    return col;
}

/* ---- editing --------------------------------------------------------------------------------- */

/* Shows that the character c (already taken off the ring) is gone. */
static void echo_erased(struct tty *t, uint8_t c, bool single)
{
    if (lflag(t, LX_ECHOPRT)) {
        if (!t->erasing) {
            echo_raw(t, '\\');
            t->erasing = true;
        }
        echo_char(t, c);
    } else if (single && !lflag(t, LX_ECHOE)) {
        echo_char(t, t->termios.c_cc[LX_VERASE]);
    } else if (c == '\t') {
        uint32_t want = edited_column(t);

        while (t->column > want)
            echo_raw(t, '\b');
    } else {
        if (is_control(c) && lflag(t, LX_ECHOCTL))
            echo_rubout(t);
        if (!is_control(c) || lflag(t, LX_ECHOCTL))
            echo_rubout(t);
    }
}

enum erase_kind { ERASE_CHAR, ERASE_WORD, ERASE_LINE };

/* VKILL. True: done; false: rub the characters out one by one. */
static bool kill_line(struct tty *t)
{
    if (lflag(t, LX_ECHO) && lflag(t, LX_ECHOK) && lflag(t, LX_ECHOKE) && lflag(t, LX_ECHOE))
        return false;
    t->in.head = t->canon_head;
    if (!lflag(t, LX_ECHO))
        return true;
    finish_erasing(t);
    echo_char(t, t->termios.c_cc[LX_VKILL]);
    if (lflag(t, LX_ECHOK))
        echo_raw(t, '\n');
    return true;
}

static void erase(struct tty *t, enum erase_kind kind)
{
    bool word_seen = false;

    if (t->in.head == t->canon_head)
        return;
    if (kind == ERASE_LINE && kill_line(t))
        return;
    while (t->in.head != t->canon_head) {
        uint32_t head = t->in.head;
        uint8_t c;

        do {
            head--;
            c = t->in.data[RING_AT(head)];
        } while (is_continuation(t, c) && head != t->canon_head);
        if (is_continuation(t, c))
            break; /* half a character */
        if (kind == ERASE_WORD) {
            bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                        (c >= 'a' && c <= 'z') || c == '_' || c >= 0x80;

            if (!word && word_seen)
                break;
            word_seen = word_seen || word;
        }
        t->in.head = head;
        if (lflag(t, LX_ECHO))
            echo_erased(t, c, kind == ERASE_CHAR);
        if (kind == ERASE_CHAR)
            break;
    }
    if (t->in.head == t->canon_head && lflag(t, LX_ECHO))
        finish_erasing(t);
}

static void reprint(struct tty *t)
{
    finish_erasing(t);
    echo_char(t, t->termios.c_cc[LX_VREPRINT]);
    echo_raw(t, '\n');
    for (uint32_t i = t->canon_head; i != t->in.head; i++)
        echo_char(t, t->in.data[RING_AT(i)]);
}

/* ---- input ----------------------------------------------------------------------------------- */

static void queue_input(struct tty *t, uint8_t c)
{
    line_end_set(t, t->in.head, false);
    ring_put(&t->in, c);
}

/* c ends the line: 0 is the VEOF mark. */
static void queue_line_end(struct tty *t, uint8_t c)
{
    line_end_set(t, t->in.head, true);
    ring_put(&t->in, c);
    t->canon_head = t->in.head;
    t->wake |= TTY_WAKE_SLAVE_IN;
}

/* Linux: a line longer than 4095 bytes loses what follows, with a bell when IMAXBEL is on. */
static void queue_char(struct tty *t, uint8_t c)
{
    bool canon = lflag(t, LX_ICANON);

    if (canon && t->in.head - t->canon_head >= TTY_LINE_MAX) {
        if (iflag(t, LX_IMAXBEL))
            echo_raw(t, '\a');
        return;
    }
    if (lflag(t, LX_ECHO)) {
        finish_erasing(t);
        if (t->in.head == t->canon_head)
            t->canon_column = t->column;
        if (c == '\n')
            echo_raw(t, c);
        else
            echo_char(t, c);
    }
    if (c == 0xff && iflag(t, LX_PARMRK))
        queue_input(t, c);
    queue_input(t, c);
    if (!canon)
        t->wake |= TTY_WAKE_SLAVE_IN;
}

static void signal_char(struct tty *t, int signo, uint8_t c) REQUIRES(t->lock)
{
    tty_signal_foreground_locked(t, signo);
    if (!lflag(t, LX_NOFLSH)) {
        ldisc_flush_input_locked(t);
        ldisc_flush_output_locked(t);
    }
    if (iflag(t, LX_IXON))
        ldisc_stop_locked(t, false);
    if (lflag(t, LX_ECHO))
        echo_char(t, c);
}

/* Flow control and signals. True: consumed. */
static bool receive_special(struct tty *t, uint8_t c) REQUIRES(t->lock)
{
    if (iflag(t, LX_IXON)) {
        if (is_cc(t, LX_VSTART, c)) {
            ldisc_stop_locked(t, false);
            return true;
        }
        if (is_cc(t, LX_VSTOP, c)) {
            ldisc_stop_locked(t, true);
            return true;
        }
    }
    if (lflag(t, LX_ISIG)) {
        if (is_cc(t, LX_VINTR, c)) {
            signal_char(t, LX_SIGINT, c);
            return true;
        }
        if (is_cc(t, LX_VQUIT, c)) {
            signal_char(t, LX_SIGQUIT, c);
            return true;
        }
        if (is_cc(t, LX_VSUSP, c)) {
            signal_char(t, LX_SIGTSTP, c);
            return true;
        }
    }
    if (t->stopped && iflag(t, LX_IXON) && iflag(t, LX_IXANY))
        ldisc_stop_locked(t, false);
    return false;
}

/* Line editing and line ends. True: consumed. */
static bool receive_canonical(struct tty *t, uint8_t c)
{
    bool ext = lflag(t, LX_IEXTEN), echo = lflag(t, LX_ECHO);

    if (is_cc(t, LX_VERASE, c)) {
        erase(t, ERASE_CHAR);
    } else if (is_cc(t, LX_VKILL, c)) {
        erase(t, ERASE_LINE);
    } else if (ext && is_cc(t, LX_VWERASE, c)) {
        erase(t, ERASE_WORD);
    } else if (ext && is_cc(t, LX_VLNEXT, c)) {
        t->lnext = true;
        if (echo) {
            finish_erasing(t);
            if (lflag(t, LX_ECHOCTL)) {
                echo_raw(t, '^');
                echo_raw(t, '\b');
            }
        }
    } else if (ext && echo && is_cc(t, LX_VREPRINT, c)) {
        reprint(t);
    } else if (c == '\n') {
        if (echo || lflag(t, LX_ECHONL))
            echo_raw(t, '\n');
        queue_line_end(t, c);
    } else if (is_cc(t, LX_VEOF, c)) {
        queue_line_end(t, 0);
    } else if (is_cc(t, LX_VEOL, c) || (ext && is_cc(t, LX_VEOL2, c))) {
        if (echo)
            echo_char(t, c);
        queue_line_end(t, c);
    } else {
        return false;
    }
    return true;
}

static void receive_char(struct tty *t, uint8_t c) REQUIRES(t->lock)
{
    if (iflag(t, LX_ISTRIP))
        c &= 0x7f;
    if (iflag(t, LX_IUCLC) && lflag(t, LX_IEXTEN) && c >= 'A' && c <= 'Z')
        c = (uint8_t)(c - 'A' + 'a');
    if (t->lnext) {
        t->lnext = false;
        queue_char(t, c);
        return;
    }
    if (receive_special(t, c))
        return;
    if (c == '\r') {
        if (iflag(t, LX_IGNCR))
            return;
        if (iflag(t, LX_ICRNL))
            c = '\n';
    } else if (c == '\n' && iflag(t, LX_INLCR)) {
        c = '\r';
    }
    if (lflag(t, LX_ICANON) && receive_canonical(t, c))
        return;
    queue_char(t, c);
}

bool ldisc_input_room_locked(struct tty *t)
{
    return tty_ring_room(&t->in) >= 4;
}

size_t ldisc_receive_locked(struct tty *t, const uint8_t *data, size_t size)
{
    size_t n = 0;

    for (; n < size && ldisc_input_room_locked(t); n++) {
        if (lflag(t, LX_EXTPROC)) {
            queue_input(t, data[n]);
            t->wake |= TTY_WAKE_SLAVE_IN;
        } else {
            receive_char(t, data[n]);
        }
    }
    return n;
}

/* ---- reading --------------------------------------------------------------------------------- */

size_t ldisc_input_count_locked(struct tty *t)
{
    size_t n = 0;

    if (!lflag(t, LX_ICANON))
        return tty_ring_used(&t->in);
    for (uint32_t i = t->in.tail; i != t->canon_head; i++)
        n += !(line_end_test(t, i) && t->in.data[RING_AT(i)] == 0);
    return n;
}

bool ldisc_readable_locked(struct tty *t, uint32_t min)
{
    if (lflag(t, LX_ICANON) && !lflag(t, LX_EXTPROC))
        return t->canon_head != t->in.tail;
    return tty_ring_used(&t->in) >= MAX(min, 1);
}

static void input_reset_if_empty(struct tty *t)
{
    if (t->in.tail == t->in.head)
        t->in.head = t->in.tail = t->canon_head = 0;
}

size_t ldisc_read_locked(struct tty *t, uint8_t *buf, size_t size, bool *out_end)
{
    bool canon = lflag(t, LX_ICANON) && !lflag(t, LX_EXTPROC);
    uint32_t end = canon ? t->canon_head : t->in.head;
    size_t n = 0;

    *out_end = false;
    while (t->in.tail != end && n < size && !*out_end) {
        uint8_t c = t->in.data[RING_AT(t->in.tail)];

        if (canon && line_end_test(t, t->in.tail)) {
            *out_end = true;
            if (c == 0) {
                t->in.tail++;
                break;
            }
        }
        buf[n++] = c;
        t->in.tail++;
    }
    /* Linux: a VEOF right behind a full buffer belongs to this read, not to the next. */
    if (canon && !*out_end && n == size && n > 0 && t->in.tail != end &&
        line_end_test(t, t->in.tail) && t->in.data[RING_AT(t->in.tail)] == 0) {
        t->in.tail++;
        *out_end = true;
    }
    if (!canon)
        t->canon_head = t->in.tail;
    input_reset_if_empty(t);
    t->wake |= TTY_WAKE_MASTER_OUT;
    return n;
}

/* ---- control --------------------------------------------------------------------------------- */

void ldisc_flush_input_locked(struct tty *t)
{
    t->in.head = t->in.tail = t->canon_head = 0;
    t->lnext = t->erasing = false;
    t->wake |= TTY_WAKE_MASTER_OUT;
    if (t->packet) {
        t->packet_status |= LX_TIOCPKT_FLUSHREAD;
        t->wake |= TTY_WAKE_MASTER_IN;
    }
}

void ldisc_flush_output_locked(struct tty *t)
{
    t->out.head = t->out.tail = 0;
    t->wake |= TTY_WAKE_SLAVE_OUT;
    if (t->packet) {
        t->packet_status |= LX_TIOCPKT_FLUSHWRITE;
        t->wake |= TTY_WAKE_MASTER_IN;
    }
}

void ldisc_stop_locked(struct tty *t, bool stop)
{
    if (t->stopped == stop)
        return;
    t->stopped = stop;
    if (!stop)
        t->wake |= TTY_WAKE_SLAVE_OUT;
    if (t->packet) {
        t->packet_status &= (uint8_t) ~(LX_TIOCPKT_START | LX_TIOCPKT_STOP);
        t->packet_status |= stop ? LX_TIOCPKT_STOP : LX_TIOCPKT_START;
        t->wake |= TTY_WAKE_MASTER_IN;
    }
}

/* What the master hears in packet mode when ^S/^Q handling changes. */
static void packet_flow_changed(struct tty *t, const struct lx_termios2 *old)
{
    bool was =
        (old->c_iflag & LX_IXON) && old->c_cc[LX_VSTOP] == 023 && old->c_cc[LX_VSTART] == 021;
    bool is =
        iflag(t, LX_IXON) && t->termios.c_cc[LX_VSTOP] == 023 && t->termios.c_cc[LX_VSTART] == 021;
    bool extproc = (old->c_lflag ^ t->termios.c_lflag) & LX_EXTPROC;

    if (!t->packet || (was == is && !extproc))
        return;
    if (was != is) {
        t->packet_status &= (uint8_t) ~(LX_TIOCPKT_DOSTOP | LX_TIOCPKT_NOSTOP);
        t->packet_status |= is ? LX_TIOCPKT_DOSTOP : LX_TIOCPKT_NOSTOP;
    }
    if (extproc)
        t->packet_status |= LX_TIOCPKT_IOCTL;
    t->wake |= TTY_WAKE_MASTER_IN;
}

void ldisc_set_termios_locked(struct tty *t, const struct lx_termios2 *termios)
{
    struct lx_termios2 old = t->termios;

    t->termios = *termios;
    t->termios.c_line = 0;
    /* What was typed before a change of mode is readable in the new one. */
    if ((old.c_lflag ^ termios->c_lflag) & LX_ICANON) {
        memset(t->line_end, 0, TTY_RING_SIZE / 8);
        t->lnext = false;
        if (!(termios->c_lflag & LX_ICANON) || tty_ring_used(&t->in) == 0) {
            t->canon_head = t->in.tail;
        } else {
            line_end_set(t, t->in.head - 1, true);
            t->canon_head = t->in.head;
        }
        t->wake |= TTY_WAKE_SLAVE_IN;
    }
    if (!iflag(t, LX_IXON) && (old.c_iflag & LX_IXON))
        ldisc_stop_locked(t, false);
    packet_flow_changed(t, &old);
}
