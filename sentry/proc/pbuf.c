/* SPDX-License-Identifier: Apache-2.0 */
/* Growing text buffer: doubles, with a bound so that no guest can make one file eat the sentry. */
#include "sentry/proc/pbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/cpus.h"

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

void pbuf_put_cpu_list(struct pbuf *b, const uint64_t *mask)
{
    const char *comma = "";
    int i, end;

    for (i = 0; i < CPU_MAX; i = end) {
        end = i + 1;
        if (!(mask[i / 64] >> (i % 64) & 1))
            continue;
        while (end < CPU_MAX && (mask[end / 64] >> (end % 64) & 1))
            end++;
        pbuf_printf(b, end - i > 1 ? "%s%d-%d" : "%s%d", comma, i, end - 1);
        comma = ",";
    }
}

void pbuf_put_cpu_mask(struct pbuf *b, const uint64_t *mask, uint32_t limit)
{
    for (uint32_t group = (limit + 31) / 32; group-- > 0;) {
        uint32_t bits = (uint32_t)(mask[group / 2] >> (group % 2 * 32));
        uint32_t width = limit - group * 32;

        if (width < 32)
            bits &= (1u << width) - 1;
        pbuf_printf(b, "%0*x%s", width >= 32 ? 8 : (int)(width + 3) / 4, bits, group ? "," : "");
    }
}
