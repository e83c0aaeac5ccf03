/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel shows the bytes from arg_start to arg_end; if the last of them is not NUL it goes on
 * into the environment's up to the first NUL. So arguments are written with NULs between them and
 * padded: those that need more than the original arguments had are joined with spaces instead.
 */
#include "runsc-c/support/title.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct {
    char *start;
    size_t arg_size, size; /* the arguments alone; with the environment behind them */
} g_title;

void title_init(int argc, char **argv)
{
    char *end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
    size_t count = 0;
    char **copy;

    g_title.start = argv[0];
    g_title.arg_size = (size_t)(end - argv[0]);
    while (environ[count])
        count++;
    copy = calloc(count + 1, sizeof(char *));
    if (!copy)
        return;
    for (size_t i = 0; i < count; i++) {
        if (environ[i] == end)
            end += strlen(end) + 1;
        copy[i] = strdup(environ[i]);
        if (!copy[i])
            return;
    }
    g_title.size = (size_t)(end - argv[0]);
    environ = copy;
}

void title_set(const json_t *args)
{
    const char *first = json_string_value(json_array_get(args, 0)), *base;
    size_t n = 0, limit = g_title.size ? g_title.size - 1 : 0, i;
    const json_t *v;

    if (!first || !limit)
        return;
    base = strrchr(first, '/');
    (void)prctl(PR_SET_NAME, base && base[1] ? base + 1 : first);
    memset(g_title.start, 0, g_title.size);
    json_array_foreach(args, i, v)
    {
        const char *s = json_string_value(v);
        size_t len = s ? strlen(s) : 0;

        if (n && n < limit)
            g_title.start[n++] = ' ';
        if (len > limit - n)
            len = limit - n;
        if (s)
            memcpy(g_title.start + n, s, len);
        n += len;
    }
    /* Not NUL at arg_end - 1 means "goes on". */
    if (n < g_title.arg_size)
        memset(g_title.start + n, 0, g_title.arg_size - n);
}
