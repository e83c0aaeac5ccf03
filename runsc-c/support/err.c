/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/support/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, const char *fmt, ...)
{
    va_list ap;

    if (!e->exit_code)
        e->exit_code = 1;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    return -1;
}

int err_errno(struct err *e, int errnum, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (!e->exit_code)
        e->exit_code = 1;
    va_start(ap, fmt);
    n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(e->msg)) {
        char *reason = e->msg + n + 2;

        snprintf(e->msg + n, sizeof(e->msg) - (size_t)n, ": %s", strerror(errnum));
        /* Engines match the lower case of Go's messages. */
        if ((size_t)n + 4 < sizeof(e->msg) && reason[0] >= 'A' && reason[0] <= 'Z' &&
            reason[1] >= 'a')
            reason[0] = (char)(reason[0] + 'a' - 'A');
    }
    return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char old[sizeof(e->msg)];
    va_list ap;
    int n;

    memcpy(old, e->msg, sizeof(old));
    va_start(ap, fmt);
    n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    /* The oldest text is cut when the wrapped message is too long. */
    if (n >= 0 && (size_t)n + 3 < sizeof(e->msg))
        snprintf(e->msg + n, sizeof(e->msg) - (size_t)n, ": %.*s",
                 (int)(sizeof(e->msg) - (size_t)n - 3), old);
    return -1;
}

int err_exec_code(int errnum)
{
    return errnum == ENOENT ? 127 : 126;
}
