/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines are formatted into a stack buffer and leave with one write(2), so lines of several
 * processes that share a file do not mix. Lines longer than the buffer are cut.
 */
#include "platform/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 1024, MESSAGE_SIZE = 768 };

enum log_level g_log_level = LOG_WARN;

static int g_log_fd = -1;
static enum log_format g_log_format;
static char g_log_who[16] = "runsc-c";

static const char *const g_level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
static const char *const g_channel_names[] = {
    [LOG_BOOT] = "boot",     [LOG_PLATFORM] = "platform", [LOG_MM] = "mm",
    [LOG_FS] = "fs",         [LOG_GOFER] = "gofer",       [LOG_NET] = "net",
    [LOG_KERNEL] = "kernel", [LOG_SYSCALL] = "syscall",   [LOG_LOADER] = "loader",
    [LOG_CLI] = "cli"};
_Static_assert(ARRAY_COUNT(g_channel_names) == LOG_CHANNEL_COUNT, "a name per channel");

void log_init(int fd, enum log_format format, enum log_level level, const char *who)
{
    tzset(); /* gmtime_r reads /etc/localtime once, which would end a jailed process */
    g_log_fd = fd;
    g_log_format = format;
    g_log_level = level;
    snprintf(g_log_who, sizeof(g_log_who), "%s", who);
}

/* Escapes for a JSON string; control characters become \u00XX. */
static void json_escape(char *dst, size_t size, const char *src)
{
    size_t n = 0;

    for (; *src && n + 7 < size; src++) {
        unsigned char c = (unsigned char)*src;

        if (c == '"' || c == '\\') {
            dst[n++] = '\\';
            dst[n++] = (char)c;
        } else if (c < 0x20) {
            n += (size_t)snprintf(dst + n, size - n, "\\u%04x", c);
        } else {
            dst[n++] = (char)c;
        }
    }
    dst[n] = '\0';
}

static uint64_t g_started, g_last_phase;

static uint64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t log_phases_from(uint64_t started)
{
    g_last_phase = monotonic_ns();
    g_started = started ? started : g_last_phase;
    return g_started;
}

void log_phase(const char *over)
{
    uint64_t now;

    if (g_log_level < LOG_DEBUG)
        return;
    now = monotonic_ns();
    log_write(LOG_DEBUG, LOG_BOOT, "phase %-24s at %8.3f ms, took %7.3f ms", over,
              (double)(now - g_started) / 1e6, (double)(now - g_last_phase) / 1e6);
    g_last_phase = now;
}

static void write_all(int fd, const char *line, size_t size)
{
    /* A log sink that refuses a line loses it; there is nowhere to report that. */
    ssize_t ignored = write(fd, line, size);

    (void)ignored;
}

/* A guest chooses some of what is told of it. In a line of text no control character stays, so that it
 * can neither begin a line of its own nor speak to the terminal of whoever reads: the C0 set, DEL, and
 * the C1 set as UTF-8 has it become '?'. */
static void make_plain(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
    }
}

void log_write(enum log_level level, enum log_channel channel, const char *fmt, ...)
{
    char msg[MESSAGE_SIZE], escaped[MESSAGE_SIZE + 128], line[LINE_SIZE + 256], stamp[32];
    struct timespec now;
    struct tm utc;
    va_list ap;
    int n;

    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (g_log_fd < 0 || g_log_format == LOG_FORMAT_TEXT)
        make_plain(msg);
    if (g_log_fd < 0) {
        if (level <= LOG_WARN) {
            n = snprintf(line, sizeof(line), "%s: %s: %s\n", g_log_who, g_level_names[level], msg);
            write_all(STDERR_FILENO, line, MIN((size_t)n, sizeof(line) - 1));
        }
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if (!gmtime_r(&now.tv_sec, &utc) ||
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        stamp[0] = '\0'; /* a year that no int holds */
    if (g_log_format == LOG_FORMAT_JSON) {
        json_escape(escaped, sizeof(escaped), msg);
        n = snprintf(
            line, sizeof(line),
            "{\"level\":\"%s\",\"msg\":\"%s\",\"time\":\"%s.%06ldZ\",\"source\":\"%s/%s\"}\n",
            g_level_names[level], escaped, stamp, now.tv_nsec / 1000, g_log_who,
            g_channel_names[channel]);
    } else {
        n = snprintf(line, sizeof(line), "%s.%06ldZ %s %s %s: %s\n", stamp, now.tv_nsec / 1000,
                     g_log_who, g_level_names[level], g_channel_names[channel], msg);
    }
    write_all(g_log_fd, line, MIN((size_t)n, sizeof(line) - 1));
}
