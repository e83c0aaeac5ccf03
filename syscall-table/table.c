/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parser of the system call table. Strict by intention: a row that a person could misread is an
 * error, since a wrong argument type is a wrong truncation in front of every check.
 *
 * A row is cut into words; words between the status and "->" are arguments. The checks over the
 * whole table (duplicates, holes in the announced number ranges, order) come after the last row.
 */
#include "syscall-table/table.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 1024
#define MAX_WORDS 24

static const struct {
    const char *name;
    const char *c_type;
} g_arg_types[] = {
    [ARG_INT] = {"int", "int"},        [ARG_UINT] = {"uint", "uint32_t"},
    [ARG_LONG] = {"long", "int64_t"},  [ARG_ULONG] = {"ulong", "uint64_t"},
    [ARG_SIZE] = {"size", "size_t"},   [ARG_UADDR] = {"uaddr", "uaddr_t"},
    [ARG_OFF] = {"off", "lx_loff_t"},  [ARG_PID] = {"pid", "lx_pid_t"},
    [ARG_UID] = {"uid", "uint32_t"},   [ARG_GID] = {"gid", "uint32_t"},
    [ARG_MODE] = {"mode", "uint32_t"}, [ARG_FD] = {"fd", "int"},
    [ARG_DIRFD] = {"dirfd", "int"},    [ARG_PATH] = {"path", "uaddr_t"},
    [ARG_STR] = {"str", "uaddr_t"},    [ARG_PTR] = {"ptr", "uaddr_t"},
};
_Static_assert(sizeof(g_arg_types) / sizeof(g_arg_types[0]) == ARG_TYPE_COUNT, "one per type");

static const char *const g_ret_kinds[] = {"int", "uint", "long", "ulong", "size", "ssize", "off",
                                          "fd",  "pid",  "uid",  "gid",   "mode", "uaddr", "none"};

static const char *const g_pointer_kinds[] = {
#define POINTER(name) #name,
#define SCALAR(name)
#include "syscall-table/kinds.def"
#undef POINTER
#undef SCALAR
};

static const char *const g_scalar_kinds[] = {
#define POINTER(name)
#define SCALAR(name) #name,
#include "syscall-table/kinds.def"
#undef POINTER
#undef SCALAR
};

static bool list_has(const char *const *list, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], word) == 0)
            return true;
    }
    return false;
}

bool kind_is_pointer(const char *hint)
{
    return list_has(g_pointer_kinds, sizeof(g_pointer_kinds) / sizeof(g_pointer_kinds[0]), hint);
}

bool kind_is_scalar(const char *hint)
{
    return list_has(g_scalar_kinds, sizeof(g_scalar_kinds) / sizeof(g_scalar_kinds[0]), hint);
}

const char *arg_type_name(enum arg_type type)
{
    return g_arg_types[type].name;
}

const char *arg_type_c(enum arg_type type)
{
    return g_arg_types[type].c_type;
}

const char *row_status_name(enum row_status status)
{
    static const char *const names[] = {
        [STATUS_IMPL] = "impl",
        [STATUS_PARTIAL] = "partial",
        [STATUS_STUB] = "stub",
        [STATUS_NONE] = "none",
    };
    return names[status];
}

__attribute__((format(printf, 3, 4))) static bool fail(struct table *t, int line, const char *fmt,
                                                       ...)
{
    va_list ap;

    fprintf(t->err, "%s:%d: ", t->file, line);
    va_start(ap, fmt);
    vfprintf(t->err, fmt, ap);
    va_end(ap);
    fputc('\n', t->err);
    t->error_count++;
    return false;
}

/* Decimal, no sign, no leading zero. */
static bool parse_number(const char *s, int *out)
{
    char *end;
    long v;

    if (!isdigit((unsigned char)s[0]) || (s[0] == '0' && s[1] != '\0'))
        return false;
    v = strtol(s, &end, 10);
    if (*end != '\0' || v > 100000)
        return false;
    *out = (int)v;
    return true;
}

static bool is_identifier(const char *s)
{
    if (s[0] == '\0' || isdigit((unsigned char)s[0]))
        return false;
    for (; *s != '\0'; s++) {
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '_')
            return false;
    }
    return true;
}

static bool copy_name(struct table *t, int line, const char *what, const char *word, char *out)
{
    if (!is_identifier(word))
        return fail(t, line, "%s \"%s\" is not a name (a-z, 0-9, _)", what, word);
    if (strlen(word) >= TABLE_NAME_SIZE)
        return fail(t, line, "%s \"%s\" is too long", what, word);
    strcpy(out, word);
    return true;
}

/* The part of ptr(kind,dir,count). */
static bool parse_pointer_hint(struct table *t, struct row *r, struct arg *a, char *hint)
{
    char *dir = strchr(hint, ','), *count = NULL;

    if (dir) {
        *dir++ = '\0';
        count = strchr(dir, ',');
        if (count)
            *count++ = '\0';
        if (strcmp(dir, "in") == 0)
            a->dir = DIR_IN;
        else if (strcmp(dir, "out") == 0)
            a->dir = DIR_OUT;
        else if (strcmp(dir, "inout") == 0)
            a->dir = DIR_INOUT;
        else if (strcmp(dir, "none") == 0)
            a->dir = DIR_NONE;
        else
            return fail(t, r->line, "direction \"%s\" is not in, out, inout or none", dir);
    }
    if (!kind_is_pointer(hint))
        return fail(t, r->line, "pointer kind \"%s\" is not in kinds.def", hint);
    if (!copy_name(t, r->line, "pointer kind", hint, a->hint))
        return false;
    if (!count)
        return true;
    if (strcmp(count, "ret") == 0) {
        a->count = COUNT_RET;
        return true;
    }
    /* The argument may follow: its name is looked up when the row is complete. */
    if (!is_identifier(count))
        return fail(t, r->line, "count \"%s\" is not an argument name", count);
    a->count = TABLE_MAX_ARGS;
    return true;
}

/* type[(hint)]:name */
static bool parse_arg(struct table *t, struct row *r, const char *word)
{
    struct arg *a = &r->args[r->arg_count];
    char buf[LINE_SIZE];
    char *colon, *open, *hint = NULL;

    if (r->arg_count == TABLE_MAX_ARGS)
        return fail(t, r->line, "more than %d arguments", TABLE_MAX_ARGS);
    snprintf(buf, sizeof(buf), "%s", word);
    colon = strrchr(buf, ':');
    if (!colon)
        return fail(t, r->line, "argument \"%s\" is not type:name", word);
    *colon = '\0';
    open = strchr(buf, '(');
    if (open) {
        if (colon == buf || colon[-1] != ')' || colon - 1 == open + 1)
            return fail(t, r->line, "argument \"%s\" is not type(hint):name", word);
        colon[-1] = '\0';
        *open = '\0';
        hint = open + 1;
    }
    a->type = ARG_TYPE_COUNT;
    for (int i = 0; i < ARG_TYPE_COUNT; i++) {
        if (strcmp(buf, g_arg_types[i].name) == 0)
            a->type = (enum arg_type)i;
    }
    if (a->type == ARG_TYPE_COUNT)
        return fail(t, r->line, "argument type \"%s\" is unknown", buf);
    a->dir = DIR_IN;
    a->count = COUNT_NONE;
    if (!copy_name(t, r->line, "argument", colon + 1, a->name))
        return false;
    for (int i = 0; i < r->arg_count; i++) {
        if (strcmp(r->args[i].name, a->name) == 0)
            return fail(t, r->line, "two arguments are called \"%s\"", a->name);
    }
    if (a->type == ARG_PTR) {
        if (!hint)
            return fail(t, r->line, "ptr needs a kind: ptr(stat):%s", a->name);
        if (!parse_pointer_hint(t, r, a, hint))
            return false;
    } else if (hint && !copy_name(t, r->line, "hint", hint, a->hint)) {
        return false;
    }
    r->arg_count++;
    return true;
}

/* Second pass over the words, when all names are known: ptr(kind,dir,count). */
static bool resolve_counts(struct table *t, struct row *r, char *const *words)
{
    for (int i = 0; i < r->arg_count; i++) {
        struct arg *a = &r->args[i];
        char name[LINE_SIZE];
        char *end;

        if (a->count != TABLE_MAX_ARGS)
            continue;
        snprintf(name, sizeof(name), "%s", strrchr(words[i], ',') + 1);
        end = strchr(name, ')');
        if (end)
            *end = '\0';
        for (int k = 0; k < r->arg_count; k++) {
            if (strcmp(r->args[k].name, name) == 0 && k != i)
                a->count = k;
        }
        if (a->count == TABLE_MAX_ARGS)
            return fail(t, r->line, "count \"%s\" of \"%s\" is no other argument", name, a->name);
    }
    return true;
}

static bool parse_status(struct table *t, struct row *r, const char *word)
{
    size_t len = strlen(word);

    if (strcmp(word, "impl") == 0) {
        r->status = STATUS_IMPL;
    } else if (strcmp(word, "partial") == 0) {
        r->status = STATUS_PARTIAL;
    } else if (strcmp(word, "none") == 0) {
        r->status = STATUS_NONE;
    } else if (strncmp(word, "stub(-E", 7) == 0 && word[len - 1] == ')') {
        r->status = STATUS_STUB;
        if (len - 7 >= TABLE_NAME_SIZE)
            return fail(t, r->line, "status \"%s\" is too long", word);
        memcpy(r->stub_errno, word + 6, len - 7);
        r->stub_errno[len - 7] = '\0';
        for (const char *s = r->stub_errno; *s != '\0'; s++) {
            if (!isupper((unsigned char)*s) && !isdigit((unsigned char)*s))
                return fail(t, r->line, "\"%s\" is not an errno name", r->stub_errno);
        }
    } else {
        return fail(t, r->line, "status \"%s\" is not impl, partial, stub(-ERRNO) or none", word);
    }
    return true;
}

static bool parse_attrs(struct table *t, struct row *r, char *word)
{
    char *save = NULL;

    if (strcmp(word, "-") == 0)
        return true;
    for (char *s = strtok_r(word, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
        if (strcmp(s, "block") == 0)
            r->attrs |= ATTR_BLOCK;
        else if (strcmp(s, "restart") == 0)
            r->attrs |= ATTR_RESTART;
        else if (strcmp(s, "noreturn") == 0)
            r->attrs |= ATTR_NORETURN;
        else
            return fail(t, r->line, "attribute \"%s\" is not block, restart or noreturn", s);
    }
    if ((r->attrs & ATTR_RESTART) && !(r->attrs & ATTR_BLOCK))
        return fail(t, r->line, "restart without block");
    return true;
}

/* Takes the quoted note off the end of the line. */
static bool parse_note(struct table *t, struct row *r, char *line)
{
    char *open = strchr(line, '"'), *close = open ? strchr(open + 1, '"') : NULL;

    if (!close)
        return fail(t, r->line, "the row does not end with a \"note\"");
    if (close[1 + strspn(close + 1, " ")] != '\0')
        return fail(t, r->line, "text after the note");
    *close = '\0';
    if (strlen(open + 1) >= TABLE_NOTE_SIZE)
        return fail(t, r->line, "the note is longer than %d bytes", TABLE_NOTE_SIZE - 1);
    if (open[1] == '\0' || strchr(open + 1, '|') || strchr(open + 1, '\\'))
        return fail(t, r->line, "the note is empty (write \"-\") or has | or \\ in it");
    strcpy(r->note, strcmp(open + 1, "-") == 0 ? "" : open + 1);
    *open = '\0';
    return true;
}

static bool parse_row(struct table *t, struct row *r, char *line)
{
    char *words[MAX_WORDS], *save = NULL;
    int count = 0, arrow = -1;

    if (!parse_note(t, r, line))
        return false;
    for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (count == MAX_WORDS)
            return fail(t, r->line, "too many words");
        if (strcmp(w, "->") == 0)
            arrow = count;
        words[count++] = w;
    }
    if (arrow < 4 || count != arrow + 4)
        return fail(t, r->line,
                    "not \"number name status arguments|void -> result attributes family note\"");
    if (!parse_number(words[0], &r->nr))
        return fail(t, r->line, "\"%s\" is not a system call number", words[0]);
    if (!copy_name(t, r->line, "system call", words[1], r->name) || !parse_status(t, r, words[2]))
        return false;
    if (!(arrow == 4 && strcmp(words[3], "void") == 0)) {
        for (int i = 3; i < arrow; i++) {
            if (!parse_arg(t, r, words[i]))
                return false;
        }
        if (!resolve_counts(t, r, words + 3))
            return false;
    }
    if (!list_has(g_ret_kinds, sizeof(g_ret_kinds) / sizeof(g_ret_kinds[0]), words[arrow + 1]))
        return fail(t, r->line, "result kind \"%s\" is unknown", words[arrow + 1]);
    strcpy(r->ret, words[arrow + 1]);
    if (!parse_attrs(t, r, words[arrow + 2]) ||
        !copy_name(t, r->line, "family", words[arrow + 3], r->family))
        return false;
    if ((r->status == STATUS_PARTIAL || r->status == STATUS_STUB) && r->note[0] == '\0')
        return fail(t, r->line, "%s needs a note that says why", row_status_name(r->status));
    return true;
}

/* @numbers A-B C-D: every number inside has a row, no number outside has. */
static void parse_numbers(struct table *t, int line, char *words)
{
    char *save = NULL;

    if (t->range_count > 0) {
        fail(t, line, "a second @numbers");
        return;
    }
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        char *dash = strchr(w, '-');
        int first, last;

        if (dash)
            *dash = '\0';
        if (t->range_count == TABLE_MAX_RANGES || !dash || !parse_number(w, &first) ||
            !parse_number(dash + 1, &last) || last < first ||
            (t->range_count > 0 && first <= t->ranges[t->range_count - 1].last)) {
            fail(t, line, "@numbers needs rising ranges FIRST-LAST");
            return;
        }
        t->ranges[t->range_count].first = first;
        t->ranges[t->range_count].last = last;
        t->range_count++;
    }
}

static void check_ranges(struct table *t, int last_line)
{
    int i = 0;

    if (t->range_count == 0)
        fail(t, last_line, "no @numbers line");
    for (int range = 0; range < t->range_count; range++) {
        for (int nr = t->ranges[range].first; nr <= t->ranges[range].last; nr++) {
            for (; i < t->row_count && t->rows[i].nr < nr; i++)
                fail(t, t->rows[i].line, "number %d is outside @numbers", t->rows[i].nr);
            if (i < t->row_count && t->rows[i].nr == nr)
                i++;
            else
                fail(t, last_line, "number %d has no row", nr);
        }
    }
    for (; i < t->row_count; i++)
        fail(t, t->rows[i].line, "number %d is outside @numbers", t->rows[i].nr);
}

static void add_row(struct table *t, struct row *r)
{
    for (int i = 0; i < t->row_count; i++) {
        if (t->rows[i].nr == r->nr) {
            fail(t, r->line, "number %d is already in line %d", r->nr, t->rows[i].line);
            return;
        }
        if (strcmp(t->rows[i].name, r->name) == 0) {
            fail(t, r->line, "name \"%s\" is already in line %d", r->name, t->rows[i].line);
            return;
        }
    }
    if (t->row_count > 0 && t->rows[t->row_count - 1].nr > r->nr) {
        fail(t, r->line, "number %d is out of order", r->nr);
        return;
    }
    if (t->row_count == TABLE_MAX_ROWS) {
        fail(t, r->line, "more than %d rows", TABLE_MAX_ROWS);
        return;
    }
    t->rows[t->row_count++] = *r;
}

static bool line_is_clean(struct table *t, int line, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s < ' ' || *s > '~')
            return fail(t, line, "byte 0x%02x: only printable ASCII and spaces",
                        (unsigned)(unsigned char)*s);
    }
    return true;
}

bool table_parse(struct table *t, const char *file, FILE *in, FILE *err)
{
    char line[LINE_SIZE];
    int number = 0;

    memset(t, 0, sizeof(*t));
    t->file = file;
    t->err = err;
    while (fgets(line, sizeof(line), in)) {
        size_t len = strlen(line);
        struct row row = {0};
        char *s = line;

        number++;
        if (len == 0 || line[len - 1] != '\n') {
            fail(t, number, "line too long, not ended, or with a zero byte");
            break;
        }
        line[len - 1] = '\0';
        if (!line_is_clean(t, number, line))
            continue;
        s += strspn(s, " ");
        if (*s == '\0' || *s == '#')
            continue;
        if (strncmp(s, "@numbers ", 9) == 0) {
            parse_numbers(t, number, s + 9);
            continue;
        }
        row.line = number;
        if (parse_row(t, &row, s))
            add_row(t, &row);
    }
    if (t->error_count == 0)
        check_ranges(t, number);
    return t->error_count == 0;
}
