/* SPDX-License-Identifier: Apache-2.0 */
/* Growing text buffer: doubles, with a bound so that no guest can make one file eat the sentry. */
#include "sentry/proc/pbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PBUF_MAX ((size_t)64 << 20)

static bool pbuf_reserve(struct pbuf *b, size_t more)
{
    size_t cap = b->cap ? b->cap : 512;
    char *data;

    if (b->oom)
        return false;
    if (more <= b->cap - b->size)
        return true;
    while (cap - b->size < more && cap < PBUF_MAX)
        cap *= 2;
    data = cap - b->size < more ? NULL : realloc(b->data, cap);
    if (!data) {
        b->oom = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void pbuf_put(struct pbuf *b, const void *data, size_t size)
{
    if (size == 0 || !pbuf_reserve(b, size))
        return;
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

void pbuf_puts(struct pbuf *b, const char *s)
{
    pbuf_put(b, s, strlen(s));
}

void pbuf_putc(struct pbuf *b, char c)
{
    pbuf_put(b, &c, 1);
}

void pbuf_printf(struct pbuf *b, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len <= 0 || !pbuf_reserve(b, (size_t)len + 1))
        return;
    va_start(ap, fmt);
    vsnprintf(b->data + b->size, (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->size += (size_t)len;
}

void pbuf_escape(struct pbuf *b, const char *s, const char *esc)
{
    for (; *s; s++) {
        if (*s == '\\' || strchr(esc, *s))
            pbuf_printf(b, "\\%03o", (unsigned char)*s);
        else
            pbuf_putc(b, *s);
    }
}

void pbuf_pad(struct pbuf *b, size_t line, size_t width)
{
    size_t used = b->size - line;

    while (used++ < width)
        pbuf_putc(b, ' ');
    pbuf_putc(b, ' ');
}

void pbuf_destroy(struct pbuf *b)
{
    free(b->data);
    *b = (struct pbuf){0};
}
