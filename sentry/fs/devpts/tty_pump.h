/* SPDX-License-Identifier: Apache-2.0 */
/* The master end of a pty for a pump inside the sentry (host/console.c): no guest reads it. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/termios.h"

struct file;
struct tty;

/* The terminal of a master file, +1; tty_pump_put. */
struct tty *tty_pump_get(struct file *master);
void tty_pump_put(struct tty *t);
/* Unlocks the slave, sets the size (NULL: unknown) and IUTF8; makes it /dev/console if it is the
 * first one. */
void tty_pump_start(struct tty *t, const struct lx_winsize *size, bool utf8);
/* SIGWINCH to the foreground when it changed. */
void tty_set_winsize(struct tty *t, const struct lx_winsize *ws);
/* Takes output; sleeps until there is some, 0 after tty_pump_gone. The bytes count as pending until
 * tty_pump_done. */
size_t tty_pump_take(struct tty *t, char *buf, size_t size);
void tty_pump_done(struct tty *t);
bool tty_pump_pending(struct tty *t);
/* The other side is gone: as the close of the master. */
void tty_pump_gone(struct tty *t);
