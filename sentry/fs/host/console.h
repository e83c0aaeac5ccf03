/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal of a container: a pty of the sandbox pumped to and from a host terminal. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

struct console;

/* Allocates a pty in devpts and starts the two pump threads between its master and host_tty_fd
 * (taken over; already in raw mode; a host pty or any bidirectional stream). The window size is
 * read from the host tty. *out_slave (+1) is open read-write with path /<n> of devpts. out may be
 * NULL. */
int MUST_CHECK console_attach(struct super *devpts, int host_tty_fd, struct console **out,
                              struct file **out_slave);
/* c NULL: the first console attached. Sends SIGWINCH to the foreground group when the size changed.
 */
void console_resize(struct console *c, uint16_t rows, uint16_t cols);
/* Waits until all output of all consoles was written to the host, at most ~2 s. */
void console_drain(void);
