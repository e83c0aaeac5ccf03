/* SPDX-License-Identifier: Apache-2.0 */
/* A calling "task" without a kernel, and short forms of file I/O, for unit tests of file kinds. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sentry/abi/fcntl.h"
#include "sentry/core/clock.h"
#include "sentry/core/curr.h"
#include "sentry/core/restart.h"
#include "sentry/fs/vfs.h"
#include "sentry/mm/memfile.h"

extern int g_unit_last_signal, g_unit_group_signal;
int g_unit_last_signal, g_unit_group_signal;

static uint64_t unit_rlimit(int resource)
{
    return LX_RLIM_INFINITY;
}

static void unit_raise(int signo)
{
    g_unit_last_signal = signo;
}

static struct pid *unit_no_pid(void)
{
    return NULL;
}

static bool unit_false_int(int signo)
{
    return false;
}

static bool unit_false(void)
{
    return false;
}

static const struct curr_ops unit_curr_ops = {
    .rlimit = unit_rlimit,
    .raise_thread = unit_raise,
    .raise_process = unit_raise,
    .session_get = unit_no_pid,
    .pgrp_get = unit_no_pid,
    .signal_ignored_or_blocked = unit_false_int,
    .is_session_leader = unit_false,
};

static int unit_pid_signal(struct pid *p, enum pid_kind kind, int signo,
                           const struct lx_siginfo *info)
{
    g_unit_group_signal = signo;
    return 0;
}

static const struct pid_ops unit_pid_ops = {.signal = unit_pid_signal};

/* Gives the calling thread an identity. */
__attribute__((unused)) static void unit_thread_init(void)
{
    static _Thread_local struct curr c;

    sleeper_init(&c.sleeper);
    c.cred = cred_kernel();
    g_curr = &c;
}

__attribute__((unused)) static int unit_fs_setup(void **state)
{
    unit_thread_init();
    g_curr_ops = &unit_curr_ops;
    g_pid_ops = &unit_pid_ops;
    assert_int_equal(memfile_init(0), 0);
    assert_int_equal(vfs_init(), 0);
    return 0;
}

__attribute__((unused)) static ssize_t unit_write(struct file *f, const void *data, size_t size)
{
    struct iov_iter it;

    iov_iter_init_kernel(&it, (void *)(uintptr_t)data, size);
    return file_write(f, &it);
}

__attribute__((unused)) static ssize_t unit_read(struct file *f, void *buf, size_t size)
{
    struct iov_iter it;

    iov_iter_init_kernel(&it, buf, size);
    return file_read(f, &it);
}

__attribute__((unused)) static void unit_nonblock(struct file *f)
{
    atomic_fetch_or(&f->flags, LX_O_NONBLOCK);
}
