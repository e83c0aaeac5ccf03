/* SPDX-License-Identifier: Apache-2.0 */
/* The panic path: says where, shows held locks and what the hook knows, aborts. */
#include "platform/base/assert.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/base/lock.h"

void (*g_panic_hook)(void);

static atomic_flag g_panicking = ATOMIC_FLAG_INIT;

void panic_at(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "runsc-c: panic at %s:%d: ", file, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    if (!atomic_flag_test_and_set(&g_panicking)) {
        lock_dump_held();
        if (g_panic_hook)
            g_panic_hook();
    }
    abort();
}
