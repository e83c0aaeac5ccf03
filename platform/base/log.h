/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging: a channel per subsystem, level at run time, one write(2) per line to donated fds.
 * Guest data never goes out at info or above. Safe from any thread; takes RANK_LOG.
 */
#pragma once

#include "platform/base/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_channel {
    LOG_BOOT,
    LOG_PLATFORM,
    LOG_MM,
    LOG_FS,
    LOG_GOFER,
    LOG_NET,
    LOG_KERNEL,
    LOG_SYSCALL,
    LOG_LOADER,
    LOG_CLI,
    LOG_CHANNEL_COUNT,
};
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

extern enum log_level g_log_level;

/* fd < 0: stderr gets errors and warnings only. JSON lines are runc's: level, msg, time. Control
 * characters are escaped in JSON and become '?' in text. To be called before a jail closes the file
 * system: it lets the C library read its time zone. */
void log_init(int fd, enum log_format format, enum log_level level, const char *who);
void log_write(enum log_level level, enum log_channel channel, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Start-up phases, at level debug: when each was over, in time since `started` (CLOCK_MONOTONIC, ns),
 * which all processes of a sandbox share. log_phases_from(0) makes it the present and returns it. */
uint64_t log_phases_from(uint64_t started);
void log_phase(const char *over);

#define log_at(level, ...)                                                                         \
    do {                                                                                           \
        if (unlikely((level) <= g_log_level))                                                      \
            log_write((level), __VA_ARGS__);                                                       \
    } while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
