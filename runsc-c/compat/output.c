/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams are compared byte by byte when no rule applies. Rules work on lines of what was kept; a
 * line with a NUL byte in it is taken as it is. What is shown is a window around the first line
 * that differs.
 */
#include "runsc-c/compat/output.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BEFORE 3    /* lines */
#define WINDOW_BYTES  4096 /* shown of each side */

struct text {
    char *data; /* owned */
    size_t size;
};

json_t *text_visible(const char *data, size_t size, size_t max)
{
    size_t use = MIN(size, max), at = 0;
    char *text = malloc(4 * use + 1);
    json_t *v;

    if (!text)
        return NULL;
    for (size_t i = 0; i < use;) {
        unsigned char c = (unsigned char)data[i];
        size_t len = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
        json_t *probe = len > 1 && i + len <= use ? json_stringn(data + i, len) : NULL;

        if (probe || (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t') {
            memcpy(text + at, data + i, len);
            at += len;
            i += len;
        } else {
            at += (size_t)snprintf(text + at, 5, "\\x%02x", c);
            i++;
        }
        json_decref(probe);
    }
    v = json_stringn(text, at);
    free(text);
    return v;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static int text_append(struct text *t, size_t *cap, const char *data, size_t size)
{
    if (t->size + size + 1 > *cap) {
        size_t want = 2 * (t->size + size) + 64;
        char *grown = realloc(t->data, want);

        if (!grown)
            return -ENOMEM;
        t->data = grown;
        *cap = want;
    }
    if (size > 0)
        memcpy(t->data + t->size, data, size);
    t->size += size;
    t->data[t->size] = '\0';
    return 0;
}

/* One line, NUL-terminated, without its newline. */
static int replace_line(struct text *out, size_t *cap, const char *line, const regex_t *re,
                        const char *with)
{
    regmatch_t m;
    int flags = 0, ret = 0;

    while (ret == 0 && *line && regexec(re, line, 1, &m, flags) == 0) {
        size_t skip = m.rm_eo > 0 ? (size_t)m.rm_eo : 1; /* an empty match goes on behind a byte */

        ret = text_append(out, cap, line, (size_t)m.rm_so);
        if (ret == 0)
            ret = text_append(out, cap, with, strlen(with));
        if (ret == 0 && m.rm_eo == 0)
            ret = text_append(out, cap, line, 1);
        line += skip;
        flags = REG_NOTBOL;
    }
    return ret < 0 ? ret : text_append(out, cap, line, strlen(line));
}

static int apply_regex(struct text *t, const char *match, const char *with)
{
    struct text out = {0};
    size_t cap = 0;
    regex_t re;
    int ret = 0;

    if (regcomp(&re, match, REG_EXTENDED) != 0)
        return 0; /* matches nothing */
    for (size_t at = 0; ret == 0 && at < t->size;) {
        char *newline = memchr(t->data + at, '\n', t->size - at);
        size_t len = newline ? (size_t)(newline - t->data) - at : t->size - at;

        t->data[at + len] = '\0';
        if (strlen(t->data + at) == len)
            ret = replace_line(&out, &cap, t->data + at, &re, with);
        else
            ret = text_append(&out, &cap, t->data + at, len);
        if (ret == 0 && newline)
            ret = text_append(&out, &cap, "\n", 1);
        at += len + 1;
    }
    regfree(&re);
    free(t->data);
    *t = out;
    return ret;
}

static int by_line(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

/* Lines of a text without NUL bytes, sorted. */
static int apply_sort(struct text *t)
{
    size_t count = 0, cap = 0;
    struct text out = {0};
    char **lines;
    int ret = 0;

    if (t->size == 0 || strlen(t->data) != t->size)
        return 0;
    lines = malloc((t->size + 1) * sizeof(*lines));
    if (!lines)
        return -ENOMEM;
    for (char *line = strtok(t->data, "\n"); line; line = strtok(NULL, "\n"))
        lines[count++] = line;
    qsort(lines, count, sizeof(*lines), by_line);
    for (size_t i = 0; ret == 0 && i < count; i++) {
        ret = text_append(&out, &cap, lines[i], strlen(lines[i]));
        if (ret == 0)
            ret = text_append(&out, &cap, "\n", 1);
    }
    free(lines);
    free(t->data);
    *t = out;
    return ret;
}

static int normalise(const struct side_stream *s, const json_t *rules, struct text *out)
{
    size_t cap = 0, i;
    json_t *rule;
    int ret = text_append(out, &cap, s->data, s->size);

    json_array_foreach(rules, i, rule)
    {
        const char *name = json_string_value(rule);

        if (ret < 0)
            break;
        if (!name)
            ret = apply_regex(out, json_string_value(json_object_get(rule, "match")),
                              json_string_value(json_object_get(rule, "with")));
        else if (!strcmp(name, "sort"))
            ret = apply_sort(out);
        else
            ret = apply_regex(out, strcmp(name, "addresses") ? "[0-9]+" : "0x[0-9a-f]+",
                              strcmp(name, "addresses") ? "N" : "0xADDRESS");
    }
    return ret;
}

/* ---- the difference -------------------------------------------------------------------------- */

/* Start of the line WINDOW_BEFORE lines above the one with byte `at`; *out_line: its number,
 * from 1. */
static size_t window_start(const struct text *t, size_t at, size_t *out_line)
{
    size_t start = at, line = 1;

    for (int i = 0; i <= WINDOW_BEFORE && start > 0; i++) {
        start--;
        while (start > 0 && t->data[start - 1] != '\n')
            start--;
    }
    for (size_t i = 0; i < at; i++)
        line += t->data[i] == '\n';
    *out_line = line;
    return at - start > WINDOW_BYTES / 2 ? at - WINDOW_BYTES / 2 : start;
}

static int add_difference(const char *which, const struct text *a, const struct text *b, size_t at,
                          const char *text, json_t *differences)
{
    size_t line, start = window_start(a, at, &line);
    json_t *v =
        json_pack("{s:s, s:I, s:o, s:o, s:s}", "what", which, "line", (json_int_t)line, "native",
                  text_visible(a->data + start, a->size - start, WINDOW_BYTES), "sandbox",
                  text_visible(b->data + start, b->size - start, WINDOW_BYTES), "text", text);

    return v && json_array_append_new(differences, v) == 0 ? 0 : -ENOMEM;
}

int output_compare(const char *which, const struct side_stream *native,
                   const struct side_stream *sandbox, const json_t *rules, json_t *differences)
{
    struct text a = {0}, b = {0};
    bool cut = native->total > native->size || sandbox->total > sandbox->size;
    char text[160];
    size_t at = 0;
    int ret = normalise(native, rules, &a);

    if (ret == 0)
        ret = normalise(sandbox, rules, &b);
    if (ret < 0)
        goto out;
    while (at < a.size && at < b.size && a.data[at] == b.data[at])
        at++;
    if (at == a.size && at == b.size && (!cut || native->total == sandbox->total))
        goto out;
    snprintf(text, sizeof(text), "%llu bytes natively, %llu in the sandbox%s",
             (unsigned long long)native->total, (unsigned long long)sandbox->total,
             cut ? "; only the first 4 MiB were kept" : "");
    ret = add_difference(which, &a, &b, at, text, differences);
out:
    free(a.data);
    free(b.data);
    return ret;
}
