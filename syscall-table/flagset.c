/* SPDX-License-Identifier: Apache-2.0 */
/* Parser of flag files. See flagset.h for the grammar. */
#include "syscall-table/flagset.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 256

static bool parse_value(const char *s, uint64_t *out)
{
    char *end;

    if (!isdigit((unsigned char)s[0]))
        return false;
    errno = 0;
    *out = strtoull(s, &end, 0);
    return *end == '\0' && errno == 0;
}

static bool is_constant_name(const char *s)
{
    if (!isupper((unsigned char)s[0]) && s[0] != '_')
        return false;
    for (; *s != '\0'; s++) {
        if (!isalnum((unsigned char)*s) && *s != '_')
            return false;
    }
    return true;
}

static const char *add_flag(struct flagset *s, const char *name, uint64_t value, uint64_t mask)
{
    struct flag *f = &s->flags[s->flag_count];

    if (s->flag_count == FLAGSET_MAX_FLAGS)
        return "too many flags";
    if (!is_constant_name(name) || strlen(name) >= FLAGSET_NAME_SIZE)
        return "not the name of a constant";
    if (value & ~mask)
        return "value outside its field";
    for (int i = 0; i < s->flag_count; i++) {
        if (strcmp(s->flags[i].name, name) == 0)
            return "this name was already used";
        if (s->flags[i].value == value && s->flags[i].mask == mask)
            return "this value already has a name";
    }
    strcpy(f->name, name);
    f->value = value;
    f->mask = mask;
    s->flag_count++;
    return NULL;
}

/* One line without comment and line end; *mask is 0 while bits are listed. NULL or what is wrong.
 */
static const char *parse_line(struct flagset *s, char *line, uint64_t *mask)
{
    char *save = NULL;
    char *name = strtok_r(line, " ", &save), *word = strtok_r(NULL, " ", &save);
    uint64_t value;

    if (!name)
        return NULL;
    if (strtok_r(NULL, " ", &save))
        return "text after the value";
    if (strcmp(name, "@bits") == 0 && !word) {
        *mask = 0;
        return NULL;
    }
    if (strcmp(name, "@enum") == 0 && !word) {
        *mask = UINT64_MAX;
        return NULL;
    }
    if (strcmp(name, "@field") == 0)
        return word && parse_value(word, mask) && *mask != 0 ? NULL : "@field needs a mask";
    if (!word || !parse_value(word, &value))
        return "not \"NAME value\"";
    if (*mask == 0 && value == 0)
        return "a bit cannot be 0 (use @field or @enum)";
    return add_flag(s, name, value, *mask == 0 ? value : *mask);
}

bool flagset_parse(struct flagset *s, const char *file, FILE *in, FILE *err)
{
    char line[LINE_SIZE];
    uint64_t mask = 0;
    int number = 0;
    bool ok = true;

    s->flag_count = 0;
    while (fgets(line, sizeof(line), in)) {
        size_t len = strlen(line);
        const char *wrong;
        char *hash;

        number++;
        if (len == 0 || line[len - 1] != '\n') {
            fprintf(err, "%s:%d: line too long, not ended, or with a zero byte\n", file, number);
            return false;
        }
        line[len - 1] = '\0';
        hash = strchr(line, '#');
        if (hash)
            *hash = '\0';
        wrong = parse_line(s, line, &mask);
        if (wrong) {
            fprintf(err, "%s:%d: %s\n", file, number, wrong);
            ok = false;
        }
    }
    if (ok && s->flag_count == 0) {
        fprintf(err, "%s:%d: no flags\n", file, number);
        ok = false;
    }
    return ok;
}
