/* SPDX-License-Identifier: Apache-2.0 */
/* termios(3), tty_ioctl(4): kernel layouts (not glibc's). */
#pragma once

#include "sentry/abi/types.h"

#define LX_NCCS 19

struct lx_termios {
    uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
    uint8_t c_line;
    uint8_t c_cc[LX_NCCS];
};
static_assert(sizeof(struct lx_termios) == 36, "kernel struct termios");

struct lx_termios2 {
    uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
    uint8_t c_line;
    uint8_t c_cc[LX_NCCS];
    uint32_t c_ispeed, c_ospeed;
};
static_assert(sizeof(struct lx_termios2) == 44, "struct termios2");

struct lx_termio {
    uint16_t c_iflag, c_oflag, c_cflag, c_lflag;
    uint8_t c_line;
    uint8_t c_cc[8];
};
static_assert(sizeof(struct lx_termio) == 18, "struct termio");

struct lx_winsize {
    uint16_t row, col, xpixel, ypixel;
};
static_assert(sizeof(struct lx_winsize) == 8, "struct winsize");

/* c_cc */
#define LX_VINTR    0
#define LX_VQUIT    1
#define LX_VERASE   2
#define LX_VKILL    3
#define LX_VEOF     4
#define LX_VTIME    5
#define LX_VMIN     6
#define LX_VSWTC    7
#define LX_VSTART   8
#define LX_VSTOP    9
#define LX_VSUSP    10
#define LX_VEOL     11
#define LX_VREPRINT 12
#define LX_VDISCARD 13
#define LX_VWERASE  14
#define LX_VLNEXT   15
#define LX_VEOL2    16

/* c_iflag */
#define LX_IGNBRK  0x0001u
#define LX_BRKINT  0x0002u
#define LX_IGNPAR  0x0004u
#define LX_PARMRK  0x0008u
#define LX_INPCK   0x0010u
#define LX_ISTRIP  0x0020u
#define LX_INLCR   0x0040u
#define LX_IGNCR   0x0080u
#define LX_ICRNL   0x0100u
#define LX_IUCLC   0x0200u
#define LX_IXON    0x0400u
#define LX_IXANY   0x0800u
#define LX_IXOFF   0x1000u
#define LX_IMAXBEL 0x2000u
#define LX_IUTF8   0x4000u

/* c_oflag */
#define LX_OPOST  0x0001u
#define LX_OLCUC  0x0002u
#define LX_ONLCR  0x0004u
#define LX_OCRNL  0x0008u
#define LX_ONOCR  0x0010u
#define LX_ONLRET 0x0020u
#define LX_TABDLY 0x1800u
#define LX_XTABS  0x1800u

/* c_cflag */
#define LX_CBAUD  0x100fu
#define LX_B0     0x0000u
#define LX_B38400 0x000fu
#define LX_CSIZE  0x0030u
#define LX_CS8    0x0030u
#define LX_CREAD  0x0080u
#define LX_PARENB 0x0100u
#define LX_HUPCL  0x0400u
#define LX_BOTHER 0x1000u

/* c_lflag */
#define LX_ISIG    0x0001u
#define LX_ICANON  0x0002u
#define LX_XCASE   0x0004u
#define LX_ECHO    0x0008u
#define LX_ECHOE   0x0010u
#define LX_ECHOK   0x0020u
#define LX_ECHONL  0x0040u
#define LX_NOFLSH  0x0080u
#define LX_TOSTOP  0x0100u
#define LX_ECHOCTL 0x0200u
#define LX_ECHOPRT 0x0400u
#define LX_ECHOKE  0x0800u
#define LX_FLUSHO  0x1000u
#define LX_PENDIN  0x4000u
#define LX_IEXTEN  0x8000u
#define LX_EXTPROC 0x10000u

/* ioctl commands */
#define LX_TCGETS         0x5401u
#define LX_TCSETS         0x5402u
#define LX_TCSETSW        0x5403u
#define LX_TCSETSF        0x5404u
#define LX_TCGETA         0x5405u
#define LX_TCSETA         0x5406u
#define LX_TCSETAW        0x5407u
#define LX_TCSETAF        0x5408u
#define LX_TCSBRK         0x5409u
#define LX_TCXONC         0x540au
#define LX_TCFLSH         0x540bu
#define LX_TIOCEXCL       0x540cu
#define LX_TIOCNXCL       0x540du
#define LX_TIOCSCTTY      0x540eu
#define LX_TIOCGPGRP      0x540fu
#define LX_TIOCSPGRP      0x5410u
#define LX_TIOCOUTQ       0x5411u
#define LX_TIOCSTI        0x5412u
#define LX_TIOCGWINSZ     0x5413u
#define LX_TIOCSWINSZ     0x5414u
#define LX_TIOCMGET       0x5415u
#define LX_TIOCINQ        0x541bu
#define LX_TIOCPKT        0x5420u
#define LX_TIOCNOTTY      0x5422u
#define LX_TIOCSETD       0x5423u
#define LX_TIOCGETD       0x5424u
#define LX_TCSBRKP        0x5425u
#define LX_TIOCGSID       0x5429u
#define LX_TCGETS2        0x802c542au
#define LX_TCSETS2        0x402c542bu
#define LX_TCSETSW2       0x402c542cu
#define LX_TCSETSF2       0x402c542du
#define LX_TIOCGPTN       0x80045430u
#define LX_TIOCSPTLCK     0x40045431u
#define LX_TIOCGDEV       0x80045432u
#define LX_TIOCVHANGUP    0x5437u
#define LX_TIOCGPKT       0x80045438u
#define LX_TIOCGPTLCK     0x80045439u
#define LX_TIOCGEXCL      0x80045440u
#define LX_TIOCGPTPEER    0x5441u
#define LX_TIOCSIG        0x40045436u
#define LX_TIOCGLCKTRMIOS 0x5456u
#define LX_TIOCSLCKTRMIOS 0x5457u

/* Control byte of packet mode. */
#define LX_TIOCPKT_DATA       0
#define LX_TIOCPKT_FLUSHREAD  1
#define LX_TIOCPKT_FLUSHWRITE 2
#define LX_TIOCPKT_STOP       4
#define LX_TIOCPKT_START      8
#define LX_TIOCPKT_NOSTOP     16
#define LX_TIOCPKT_DOSTOP     32
#define LX_TIOCPKT_IOCTL      64
