/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions about our own code. Never about values a guest, a gofer peer or the host chose. */
#pragma once

#include "platform/base/compiler.h"

/* Prints the place, the held locks and what the panic hook adds, then aborts. Async-signal-unsafe.
 */
NORETURN void panic_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Called once by panic_at before abort, to print context (task, system call). May be NULL. */
extern void (*g_panic_hook)(void);

#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)

/* Always on; no side effects in cond. */
#define ASSERT(cond)                                                                               \
    do {                                                                                           \
        if (unlikely(!(cond)))                                                                     \
            panic_at(__FILE__, __LINE__, "assertion failed: %s", #cond);                           \
    } while (0)

#ifdef RUNSC_DEBUG
#define DEBUG_ASSERT(cond) ASSERT(cond)
#else
#define DEBUG_ASSERT(cond) ((void)sizeof(cond))
#endif

#define UNREACHABLE() panic_at(__FILE__, __LINE__, "unreachable")
