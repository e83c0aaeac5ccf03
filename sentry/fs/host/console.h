/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal of a container: a pty of the sandbox pumped to and from a host terminal. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

struct console;

/* Allocates a pty in devpts and starts the two pump threads between its master and host_tty_fd
 * (taken over; already in raw mode; a host pty or any bidirectional stream). The window size is
 * read from the host tty. *out_slave (+1) is open read-write with path /<n> of devpts. *out ends
 * with console_detach. */
int MUST_CHECK console_attach(struct super *devpts, int host_tty_fd, struct console **out,
                              struct file **out_slave);
/* The session on it has ended: lets the last output out (at most ~2 s), hangs the pty up and gives
 * the host terminal back, so that whoever holds its other end sees it closed. NULL is fine. */
void console_detach(struct console *c);
/* Sends SIGWINCH to the foreground group when the size changed. */
void console_resize(struct console *c, uint16_t rows, uint16_t cols);
