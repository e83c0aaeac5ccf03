/* SPDX-License-Identifier: Apache-2.0 */
/* argv and envp on their way from the old image to the new one. execve(2), "Limits". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/exec.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/mm/uaccess.h"

enum { MAX_ARG_STRLEN = 32 * 4096, STACK_DEFAULT = 8 << 20, ARG_MIN = 128 * 1024, BATCH = 64 };

size_t exec_strings_budget(struct task *t)
{
    uint64_t limit = task_rlimit_cur(t, LX_RLIMIT_STACK) / 4;

    if (limit > STACK_DEFAULT / 4 * 3)
        limit = STACK_DEFAULT / 4 * 3;
    return limit < ARG_MIN ? ARG_MIN : (size_t)limit;
}

static int reserve(struct exec_strings *s, size_t *cap, size_t need)
{
    char *data;

    if (s->size + need <= *cap)
        return 0;
    while (*cap < s->size + need)
        *cap = *cap ? *cap * 2 : 4096;
    data = realloc(s->data, *cap);
    if (!data)
        return -ENOMEM;
    s->data = data;
    return 0;
}

static int append_user(struct exec_strings *s, size_t *cap, uaddr_t str, size_t *budget)
{
    size_t chunk = 256;
    ssize_t len;
    int ret;

    for (;;) {
        ret = reserve(s, cap, chunk);
        if (ret < 0)
            return ret;
        len = copy_in_str(s->data + s->size, str, chunk);
        if (len != -ENAMETOOLONG)
            break;
        if (chunk >= MAX_ARG_STRLEN)
            return -E2BIG;
        chunk = MIN(chunk * 8, (size_t)MAX_ARG_STRLEN);
    }
    if (len < 0)
        return (int)len;
    if ((size_t)len + 1 > *budget)
        return -E2BIG;
    *budget -= (size_t)len + 1;
    s->size += (size_t)len + 1;
    s->count++;
    return 0;
}

/* Up to BATCH pointers at a time; one at a time where a batch would run into unmapped memory. */
static int fetch_pointers(uaddr_t vec, uint64_t *ptrs, size_t *out_count)
{
    size_t got = copy_in_partial(ptrs, vec, BATCH * sizeof(ptrs[0])) / sizeof(ptrs[0]);

    *out_count = got;
    return got ? 0 : -EFAULT;
}

int exec_strings_from_user(uaddr_t vec, size_t *budget, struct exec_strings *out)
{
    uint64_t ptrs[BATCH];
    size_t count, cap = 0;
    int ret = 0;

    *out = (struct exec_strings){0};
    if (!vec)
        return 0;
    for (;;) {
        ret = fetch_pointers(vec, ptrs, &count);
        if (ret < 0)
            goto fail;
        for (size_t i = 0; i < count; i++) {
            if (!ptrs[i])
                return 0;
            ret = -E2BIG;
            if (*budget < sizeof(ptrs[0]))
                goto fail;
            *budget -= sizeof(ptrs[0]);
            ret = append_user(out, &cap, ptrs[i], budget);
            if (ret < 0)
                goto fail;
        }
        vec += count * sizeof(ptrs[0]);
    }
fail:
    exec_strings_free(out);
    return ret;
}

int exec_strings_from_kernel(const char *const *vec, struct exec_strings *out)
{
    size_t cap = 0;
    int ret;

    *out = (struct exec_strings){0};
    for (; vec && *vec; vec++) {
        size_t len = strlen(*vec) + 1;

        ret = reserve(out, &cap, len);
        if (ret < 0) {
            exec_strings_free(out);
            return ret;
        }
        memcpy(out->data + out->size, *vec, len);
        out->size += len;
        out->count++;
    }
    return 0;
}

void exec_strings_free(struct exec_strings *s)
{
    free(s->data);
    *s = (struct exec_strings){0};
}
