// SPDX-License-Identifier: Apache-2.0
/*
 * `#!` lines and the argument strings. The line rules are binfmt_script's: the first 256 bytes
 * count, blanks around the interpreter and around its one optional argument are dropped, the
 * argument is the rest of the line with inner blanks kept. A line that does not end within the
 * buffer is accepted only if the interpreter's name surely does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/loader/loader_internal.h"

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Where the line ends, blanks before that dropped; NULL: not acceptable. */
static const char *line_end(const char *line)
{
    const char *limit = line + SCRIPT_LINE_SIZE - 1, *end, *p;

    end = memchr(line, '\n', SCRIPT_LINE_SIZE);
    if (!end) {
        for (p = line + 2; p < limit && blank(*p); p++)
            ;
        if (p == limit)
            return NULL; /* nothing but blanks */
        while (p < limit && !blank(*p) && *p != '\0')
            p++;
        if (p == limit)
            return NULL; /* the name may be cut off */
        end = limit;
        p = memchr(line + 2, '\0', (size_t)(limit - line) - 2);
        if (p)
            end = p;
    }
    while (end > line + 2 && blank(end[-1]))
        end--;
    return end;
}

/* argv becomes name, [arg], script, argv[1...]. */
static int rewrite_argv(struct exec_strings *argv, const char *name, size_t name_len,
                        const char *arg, size_t arg_len, const char *script)
{
    size_t skip = argv->count > 0 ? strlen(argv->data) + 1 : 0, script_len = strlen(script);
    size_t size = name_len + 1 + (arg ? arg_len + 1 : 0) + script_len + 1 + argv->size - skip;
    char *data = malloc(size), *p = data;

    if (!data)
        return -ENOMEM;
    memcpy(p, name, name_len);
    p[name_len] = '\0';
    p += name_len + 1;
    if (arg) {
        memcpy(p, arg, arg_len);
        p[arg_len] = '\0';
        p += arg_len + 1;
    }
    memcpy(p, script, script_len + 1);
    p += script_len + 1;
    if (argv->size > skip)
        memcpy(p, argv->data + skip, argv->size - skip);
    free(argv->data);
    argv->data = data;
    argv->size = size;
    argv->count = (argv->count > 0 ? argv->count - 1 : 0) + (arg ? 3 : 2);
    return 0;
}

int script_parse(const char line[SCRIPT_LINE_SIZE], struct exec_request *rq,
                 const char *script_name, char **out_name)
{
    const char *end, *name, *name_end, *arg = NULL;
    int ret;

    if (line[0] != '#' || line[1] != '!')
        return 0;
    end = line_end(line);
    if (!end)
        return -ENOEXEC;
    for (name = line + 2; name < end && blank(*name); name++)
        ;
    for (name_end = name; name_end < end && !blank(*name_end) && *name_end; name_end++)
        ;
    if (name == name_end)
        return -ENOEXEC;
    if (name_end < end && *name_end) {
        for (arg = name_end; arg < end && blank(*arg); arg++)
            ;
        if (arg == end || *arg == '\0')
            arg = NULL;
    }
    *out_name = strndup(name, (size_t)(name_end - name));
    if (!*out_name)
        return -ENOMEM;
    ret = rewrite_argv(&rq->argv, name, (size_t)(name_end - name), arg,
                       arg ? strnlen(arg, (size_t)(end - arg)) : 0, script_name);
    if (ret < 0) {
        free(*out_name);
        return ret;
    }
    return 1;
}

int args_default(struct exec_request *rq)
{
    if (rq->argv.count > 0)
        return 0;
    free(rq->argv.data);
    rq->argv.data = calloc(1, 1);
    if (!rq->argv.data)
        return -ENOMEM;
    rq->argv.size = 1;
    rq->argv.count = 1;
    return 0;
}

static bool strings_fit(const struct exec_strings *s)
{
    const char *p = s->data;
    uint32_t i;

    for (i = 0; i < s->count; i++) {
        size_t size = strlen(p) + 1;

        if (size > ARG_STRING_MAX)
            return false;
        p += size;
    }
    return true;
}

int args_check(const struct exec_request *rq)
{
    /* Linux: a quarter of the stack limit, at least 128 KiB, at most three quarters of 8 MiB. */
    uint64_t limit = MIN(rq->stack_limit / 4, (8ul << 20) / 4 * 3);
    uint64_t size = ((uint64_t)rq->argv.count + rq->envp.count) * 8 + rq->argv.size + rq->envp.size;

    limit = MAX(limit, ARG_STRING_MAX);
    if (size + strlen(rq->filename) + 1 > limit)
        return -E2BIG;
    return strings_fit(&rq->argv) && strings_fit(&rq->envp) ? 0 : -E2BIG;
}
