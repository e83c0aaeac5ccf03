// SPDX-License-Identifier: Apache-2.0
/* The guests' kernel log. See kmsg.h. */
#include "sentry/core/kmsg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "platform/base/lock.h"
#include "sentry/core/clock.h"

/* Keys: k ->lock */
static struct {
    struct mutex lock;    /* rank LEAF */
    char data[KMSG_SIZE]; /* k: data[0..size) are whole lines */
    size_t size;          /* k */
    size_t cleared;       /* k: bytes at the front that READ_CLEAR hid */
    uint64_t first, end;  /* k: numbers of the first line in data and of the next one to come */
} g_kmsg = {.lock = {.rank = RANK_LEAF}};

static void drop_oldest_locked(size_t need)
{
    while (g_kmsg.size + need > KMSG_SIZE) {
        const char *end = memchr(g_kmsg.data, '\n', g_kmsg.size);
        size_t len = end ? (size_t)(end - g_kmsg.data) + 1 : g_kmsg.size;

        memmove(g_kmsg.data, g_kmsg.data + len, g_kmsg.size - len);
        g_kmsg.size -= len;
        g_kmsg.first++;
        g_kmsg.cleared -= MIN(g_kmsg.cleared, len);
    }
}

void kmsg_printf(int level, const char *fmt, ...)
{
    uint64_t now = clock_boottime();
    char line[512];
    va_list ap;
    size_t len;

    snprintf(line, sizeof(line), "<%d>[%5llu.%06llu] ", level,
             (unsigned long long)(now / NSEC_PER_SEC),
             (unsigned long long)(now % NSEC_PER_SEC / 1000));
    len = strlen(line);
    va_start(ap, fmt);
    vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
    va_end(ap);
    len = strlen(line);
    line[len++] = '\n';
    mutex_lock(&g_kmsg.lock);
    drop_oldest_locked(len);
    memcpy(g_kmsg.data + g_kmsg.size, line, len);
    g_kmsg.size += len;
    g_kmsg.end++;
    mutex_unlock(&g_kmsg.lock);
}

size_t kmsg_read(char *buf, size_t size, bool clear)
{
    size_t from, n;

    mutex_lock(&g_kmsg.lock);
    from = g_kmsg.cleared;
    while (g_kmsg.size - from > size) {
        const char *end = memchr(g_kmsg.data + from, '\n', g_kmsg.size - from);

        from = end ? (size_t)(end - g_kmsg.data) + 1 : g_kmsg.size;
    }
    n = g_kmsg.size - from;
    memcpy(buf, g_kmsg.data + from, n);
    if (clear)
        g_kmsg.cleared = g_kmsg.size;
    mutex_unlock(&g_kmsg.lock);
    return n;
}

uint64_t kmsg_end(void)
{
    uint64_t end;

    mutex_lock(&g_kmsg.lock);
    end = g_kmsg.end;
    mutex_unlock(&g_kmsg.lock);
    return end;
}

size_t kmsg_record(uint64_t *seq, char *buf, size_t size)
{
    unsigned long long seconds = 0, micros = 0;
    int level = 0, used = 0, n = 0;
    char line[512] = "";

    mutex_lock(&g_kmsg.lock);
    *seq = MAX(*seq, g_kmsg.first);
    if (*seq < g_kmsg.end) {
        const char *p = g_kmsg.data, *end;

        for (uint64_t i = g_kmsg.first; i < *seq; i++)
            p = (const char *)memchr(p, '\n', KMSG_SIZE) + 1;
        end = memchr(p, '\n', (size_t)(g_kmsg.data + g_kmsg.size - p));
        memcpy(line, p, MIN((size_t)(end - p), sizeof(line) - 1));
    }
    mutex_unlock(&g_kmsg.lock);
    if (sscanf(line, "<%d>[%llu.%llu] %n", &level, &seconds, &micros, &used) == 3 && used)
        n = snprintf(buf, size, "%d,%llu,%llu,-;%s\n", level, (unsigned long long)*seq,
                     seconds * 1000000 + micros, line + used);
    return n < 0 || (size_t)n >= size ? 0 : (size_t)n;
}

void kmsg_clear(void)
{
    mutex_lock(&g_kmsg.lock);
    g_kmsg.cleared = g_kmsg.size;
    mutex_unlock(&g_kmsg.lock);
}
