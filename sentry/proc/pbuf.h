/* SPDX-License-Identifier: Apache-2.0 */
/* A growing text buffer that the show functions of procfs and sysfs write into. An allocation
 * failure sticks in `oom`; whoever started the buffer checks it once at the end. */
#pragma once

#include "platform/base/compiler.h"

/* Lifetime: embedded; pbuf_destroy frees data. {0} is an empty buffer. */
struct pbuf {
    char *data;
    size_t size, cap;
    bool oom;
};

void pbuf_put(struct pbuf *b, const void *data, size_t size);
void pbuf_puts(struct pbuf *b, const char *s);
/* CPUs of a mask of CPU_WORDS words: "0-2,5"; and "3" or "7,00000001" for limit of them. */
void pbuf_put_cpu_list(struct pbuf *b, const uint64_t *mask);
void pbuf_put_cpu_mask(struct pbuf *b, const uint64_t *mask, uint32_t limit);
void pbuf_putc(struct pbuf *b, char c);
void pbuf_printf(struct pbuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* s with the characters of esc (and backslash) as \ooo, as seq_escape does. */
void pbuf_escape(struct pbuf *b, const char *s, const char *esc);
/* Spaces until the line that began at offset line is width columns wide, plus one more. */
void pbuf_pad(struct pbuf *b, size_t line, size_t width);
void pbuf_destroy(struct pbuf *b);
