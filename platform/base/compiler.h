/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler attributes and the few generic helpers every layer uses. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN          __attribute__((noreturn))
#define PACKED            __attribute__((packed))
#define UNUSED            __attribute__((unused))
#define likely(x)         __builtin_expect(!!(x), 1)
#define unlikely(x)       __builtin_expect(!!(x), 0)

/* Thread-safety annotations: checked by clang (-Wthread-safety), empty under gcc. */
#if defined(__clang__)
#define TS_CAPABILITY(x)  __attribute__((capability(x)))
#define REQUIRES(...)     __attribute__((requires_capability(__VA_ARGS__)))
#define EXCLUDES(...)     __attribute__((locks_excluded(__VA_ARGS__)))
#define ACQUIRES(...)     __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASES(...)     __attribute__((release_capability(__VA_ARGS__)))
#define TRY_ACQUIRES(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#define NO_THREAD_SAFETY  __attribute__((no_thread_safety_analysis))
#else
#define TS_CAPABILITY(x)
#define REQUIRES(...)
#define EXCLUDES(...)
#define ACQUIRES(...)
#define RELEASES(...)
#define TRY_ACQUIRES(...)
#define NO_THREAD_SAFETY
#endif

/* A function that reads what others write meanwhile and may see any of it: a snapshot for /proc, a hint. */
#define RACY_READER __attribute__((no_sanitize("thread"), noinline))

#define FALLTHROUGH __attribute__((fallthrough))

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)      ((a) < (b) ? (a) : (b))
#define MAX(a, b)      ((a) > (b) ? (a) : (b))

/* SAFETY: ptr points to the member of a live object of the given type; the caller's type says so.
 */
#define container_of(ptr, type, member)                                                            \
    ((type *)(void *)((char *)(uintptr_t)(const void *)(ptr)-offsetof(type, member)))

/* Powers of two only. */
static inline uint64_t align_down(uint64_t x, uint64_t a)
{
    return x & ~(a - 1);
}

/* Powers of two only; wraps to 0 when x is above the last multiple of a. */
static inline uint64_t align_up(uint64_t x, uint64_t a)
{
    return (x + a - 1) & ~(a - 1);
}

/* Checked arithmetic: true when the result does not fit. */
#define add_overflows(a, b, out) __builtin_add_overflow((a), (b), (out))
#define mul_overflows(a, b, out) __builtin_mul_overflow((a), (b), (out))

/* Drops a MUST_CHECK result; the call's comment says why. */
#define IGNORE_RESULT(x)                                                                           \
    do {                                                                                           \
        if (x) {                                                                                   \
        }                                                                                          \
    } while (0)
