/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals: what kernel/, proc/ and boot/ may ask. A session's controlling terminal is an
 * association kept in the tty, keyed by the session's struct pid.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct file;
struct pid;

/* The leader of session exits: SIGHUP and SIGCONT to the foreground group, the terminal is free
 * again. Cheap when the session has no terminal. No lock ranked at or after TTY held. */
void tty_session_leader_exit(struct pid *session);
/* Device number (kernel encoding, 0: none) of the session's terminal and its foreground group (+1
 * or NULL; out_pgrp may be NULL). For /proc/PID/stat. */
lx_dev_t tty_of_session(struct pid *session, struct pid **out_pgrp);
/* Opening a terminal without LX_O_NOCTTY by a session leader without one acquires it; called by the
 * open path itself, and by boot for the console of PID 1. */
void tty_acquire_controlling(struct file *f, struct pid *session, struct pid *pgrp);
bool file_is_tty(const struct file *f);
/* Opens by device number: /dev/tty (-ENXIO without a controlling terminal), /dev/console, and the
 * slave of a pty. */
int MUST_CHECK tty_open_current(uint32_t flags, struct file **out);
int MUST_CHECK tty_open_console(uint32_t flags, struct file **out);
int MUST_CHECK tty_open_number(uint32_t number, uint32_t flags, struct file **out);
/* vhangup(2) on the caller's terminal. */
void tty_vhangup_current(void);
