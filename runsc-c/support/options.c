/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/support/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_def *find_long(const struct option_def *defs, const char *name,
                                          size_t len)
{
    for (; defs->name; defs++) {
        if (strlen(defs->name) == len && !strncmp(defs->name, name, len))
            return defs;
    }
    return NULL;
}

static const struct option_def *find_letter(const struct option_def *defs, char letter)
{
    for (; defs->name; defs++) {
        if (defs->letter && defs->letter == letter)
            return defs;
    }
    return NULL;
}

static int list_append(struct option_list *list, const char *value, struct err *e)
{
    const char **items = realloc(list->items, (list->count + 1) * sizeof(char *));

    if (!items)
        return err_errno(e, ENOMEM, "options");
    list->items = items;
    list->items[list->count++] = value;
    return 0;
}

static int store(const struct option_def *def, const char *value, struct err *e)
{
    char *end;

    switch (def->kind) {
    case OPTION_FLAG:
        if (value && strcmp(value, "true") && strcmp(value, "false"))
            return err_set(e, "option --%s takes no value (got \"%s\")", def->name, value);
        *(bool *)def->value = !value || !strcmp(value, "true");
        return 0;
    case OPTION_STRING:
        *(const char **)def->value = value;
        return 0;
    case OPTION_OPTIONAL:
        *(const char **)def->value = !value || !strcmp(value, "true") ? ""
                                     : strcmp(value, "false")         ? value
                                                                      : NULL;
        return 0;
    case OPTION_INT:
        errno = 0;
        *(long *)def->value = strtol(value, &end, 10);
        if (errno || end == value || *end)
            return err_set(e, "option --%s wants a number, not \"%s\"", def->name, value);
        return 0;
    case OPTION_LIST:
        return list_append(def->value, value, e);
    }
    return 0;
}

static bool takes_value(const struct option_def *def)
{
    return def->kind != OPTION_FLAG && def->kind != OPTION_OPTIONAL;
}

int options_parse(const struct option_def *defs, int argc, char **argv, int *index, struct err *e)
{
    while (*index < argc) {
        const char *arg = argv[*index];
        const char *name, *value = NULL;
        const struct option_def *def;
        size_t len;

        if (arg[0] != '-' || !arg[1])
            return 0;
        ++*index;
        if (!strcmp(arg, "--"))
            return 0;
        name = arg + (arg[1] == '-' ? 2 : 1);
        len = strcspn(name, "=");
        if (name[len])
            value = name + len + 1;
        def = find_long(defs, name, len);
        if (!def && arg[1] != '-') {
            def = find_letter(defs, arg[1]);
            if (def && takes_value(def) && arg[2])
                value = arg[2] == '=' ? arg + 3 : arg + 2;
            else if (def && arg[2])
                def = NULL;
        }
        if (!def)
            return err_set(e, "unknown option \"%s\"; see --help", arg);
        if (takes_value(def) && !value) {
            if (*index >= argc)
                return err_set(e, "option --%s needs a value", def->name);
            value = argv[(*index)++];
        }
        if (store(def, value, e) < 0)
            return -1;
    }
    return 0;
}

int options_set(const struct option_def *defs, const char *name, const char *value, struct err *e)
{
    const struct option_def *def = find_long(defs, name, strlen(name));

    return def ? store(def, value, e) : 1;
}

int options_parse_anywhere(const struct option_def *defs, int argc, char **argv, int *index,
                           struct err *e)
{
    int operands = 0;

    for (;;) {
        char *operand;

        if (options_parse(defs, argc - operands, argv, index, e) < 0)
            return -1;
        if (*index >= argc - operands)
            break;
        operand = argv[*index];
        if (*index > 1 && !strcmp(argv[*index - 1], "--"))
            break; /* the rest are operands, whatever they look like */
        memmove(argv + *index, argv + *index + 1, (size_t)(argc - *index - 1) * sizeof(*argv));
        argv[argc - 1] = operand;
        operands++;
    }
    *index = *index < argc - operands ? *index : argc - operands;
    return 0;
}

void options_help(const struct option_def *defs)
{
    for (; defs->name; defs++) {
        char left[64];

        snprintf(left, sizeof(left), "%s%c%s--%s%s", defs->letter ? "-" : " ",
                 defs->letter ? defs->letter : ' ', defs->letter ? ", " : "  ", defs->name,
                 takes_value(defs) ? " VALUE" : "");
        printf("  %-32s %s\n", left, defs->help);
    }
}

int options_operands(const char *command, int count, int min, int max, struct err *e)
{
    if (count >= min && count <= max)
        return 0;
    return err_set(e, "\"%s\" requires %s %d argument(s)", command,
                   min == max    ? "exactly"
                   : count < min ? "a minimum of"
                                 : "a maximum of",
                   count < min ? min : max);
}

int options_only_operands(const char *command, const char *operands, const char *what, int *argc,
                          char ***argv, int min, int max, struct err *e)
{
    bool help = false;
    const struct option_def options[] = {
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    int index = 1;

    if (options_parse_anywhere(options, *argc, *argv, &index, e) < 0)
        return -1;
    if (help) {
        printf("Usage: runsc-c %s %s\n\n%s\n\n", command, operands, what);
        options_help(options);
        return -1;
    }
    *argc -= index;
    *argv += index;
    return options_operands(command, *argc, min, max, e);
}
