/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A suite: a directory of executable files, or a manifest. Both become the same complete program
 * objects, so that nothing behind this file knows defaults.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runsc-c/compat/compat.h"

struct member {
    const char *name;
    json_type type;
    bool required;
};

/* Sorted as README.md lists them. */
static const struct member g_members[] = {
    {"name", JSON_STRING, true},     {"argv", JSON_ARRAY, true},
    {"env", JSON_OBJECT, false},     {"cwd", JSON_STRING, false},
    {"stdin", JSON_NULL, false},     {"timeout", JSON_INTEGER, false},
    {"status", JSON_INTEGER, false}, {"files", JSON_ARRAY, false},
    {"stderr", JSON_FALSE, false},   {"normalise", JSON_ARRAY, false},
};

static bool type_matches(const json_t *v, json_type type)
{
    if (type == JSON_FALSE)
        return json_is_boolean(v);
    return type == JSON_NULL ? json_is_string(v) || json_is_object(v) : json_typeof(v) == type;
}

static int check_strings(const json_t *list, const char *where, const char *what, struct err *e)
{
    json_t *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (!json_is_string(v))
            return err_set(e, "%s: %s[%zu] is not a string", where, what, i);
    }
    return 0;
}

static int check_rules(const json_t *rules, const char *where, struct err *e)
{
    json_t *v;
    size_t i;

    json_array_foreach(rules, i, v)
    {
        const char *name = json_string_value(v);

        if (name &&
            (!strcmp(name, "addresses") || !strcmp(name, "numbers") || !strcmp(name, "sort")))
            continue;
        if (json_is_string(json_object_get(v, "match")) &&
            json_is_string(json_object_get(v, "with")))
            continue;
        return err_set(e,
                       "%s: normalise[%zu] is none of \"addresses\", \"numbers\", \"sort\" and "
                       "{\"match\": REGEX, \"with\": TEXT}",
                       where, i);
    }
    return 0;
}

static int check_members(const json_t *program, const char *where, struct err *e)
{
    const char *key;
    json_t *v;

    for (size_t i = 0; i < ARRAY_COUNT(g_members); i++) {
        v = json_object_get(program, g_members[i].name);
        if (!v && g_members[i].required)
            return err_set(e, "%s: \"%s\" is missing", where, g_members[i].name);
        if (v && !type_matches(v, g_members[i].type))
            return err_set(e, "%s: \"%s\" has the wrong type", where, g_members[i].name);
    }
    /* SAFETY: jansson's iterator wants a mutable object, and does not change it. */
    json_object_foreach((json_t *)(uintptr_t)program, key, v)
    {
        bool known = false;

        for (size_t i = 0; i < ARRAY_COUNT(g_members); i++)
            known = known || !strcmp(key, g_members[i].name);
        if (!known)
            return err_set(e, "%s: there is no member \"%s\"", where, key);
    }
    return 0;
}

static int check_program(const json_t *program, size_t index, struct err *e)
{
    const char *name = json_string_value(json_object_get(program, "name"));
    const char *cwd = json_string_value(json_object_get(program, "cwd"));
    const json_t *in = json_object_get(program, "stdin");
    const char *key;
    char where[300];
    json_t *v;

    snprintf(where, sizeof(where), "programs[%zu]%s%.200s", index, name ? " " : "",
             name ? name : "");
    if (!json_is_object(program))
        return err_set(e, "%s is not an object", where);
    if (check_members(program, where, e) < 0 ||
        check_strings(json_object_get(program, "argv"), where, "argv", e) < 0 ||
        check_strings(json_object_get(program, "files"), where, "files", e) < 0 ||
        check_rules(json_object_get(program, "normalise"), where, e) < 0)
        return -1;
    if (!*name || strpbrk(name, "\n@") || strstr(name, ": "))
        return err_set(e, "%s: a name is not empty and has no newline, \"@\" and \": \"", where);
    if (json_array_size(json_object_get(program, "argv")) == 0)
        return err_set(e, "%s: argv is empty", where);
    if (cwd && (cwd[0] == '/' || strstr(cwd, "..")))
        return err_set(e, "%s: cwd is below the scratch directory: relative, without \"..\"",
                       where);
    if (json_is_object(in) && !json_is_string(json_object_get(in, "file")))
        return err_set(e, "%s: stdin is a text or {\"file\": PATH}", where);
    /* SAFETY: as above. */
    json_object_foreach((json_t *)(uintptr_t)json_object_get(program, "env"), key, v)
    {
        if (!json_is_string(v))
            return err_set(e, "%s: env.%s is not a string", where, key);
    }
    return 0;
}

/* New reference; NULL when the path is too long for Linux. */
static json_t *joined(const char *dir, const char *name)
{
    return strlen(dir) + strlen(name) + 2 > PATH_MAX ? NULL : json_sprintf("%s/%s", dir, name);
}

/* Paths with a slash start from the manifest. */
static int resolve(json_t *holder, const char *key, const char *dir)
{
    const char *text = json_string_value(json_object_get(holder, key));

    if (!text || text[0] == '/')
        return 0;
    return json_object_set_new(holder, key, joined(dir, text));
}

static int complete_program(json_t *program, const char *dir)
{
    json_t *argv = json_object_get(program, "argv"), *in = json_object_get(program, "stdin");
    const char *command = json_string_value(json_array_get(argv, 0));

    if (strchr(command, '/') && command[0] != '/' &&
        json_array_set_new(argv, 0, joined(dir, command)) < 0)
        return -1;
    return json_is_object(in) ? resolve(in, "file", dir) : 0;
}

static int check_unique(const json_t *programs, struct err *e)
{
    json_t *seen = json_object(), *v;
    size_t i;
    int ret = 0;

    json_array_foreach(programs, i, v)
    {
        const char *name = json_string_value(json_object_get(v, "name"));

        if (json_object_get(seen, name))
            ret = err_set(e, "programs[%zu]: there are two named \"%s\"", i, name);
        json_object_set_new(seen, name, json_true());
    }
    json_decref(seen);
    return ret;
}

static json_t *load_manifest(const char *path, struct err *e)
{
    json_error_t error;
    json_t *suite = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *programs, *v;
    char full[PATH_MAX];
    size_t i;

    if (!suite) {
        (void)err_set(e, "%s:%d:%d: not valid JSON: %s", path, error.line, error.column,
                      error.text);
        return NULL;
    }
    programs = json_object_get(suite, "programs");
    if (!realpath(path, full)) {
        (void)err_errno(e, errno, "%s", path);
        goto failed;
    }
    *strrchr(full, '/') = '\0';
    if (!json_is_array(programs) || json_array_size(programs) == 0) {
        (void)err_set(e, "%s: \"programs\" is not an array with programs", path);
        goto failed;
    }
    json_array_foreach(programs, i, v)
    {
        if (check_program(v, i, e) < 0)
            goto failed_at;
        if (complete_program(v, full) < 0) {
            (void)err_set(e, "programs[%zu]: a path is too long", i);
            goto failed_at;
        }
    }
    if (check_unique(programs, e) < 0)
        goto failed_at;
    if (!json_is_string(json_object_get(suite, "name")))
        json_object_set_new(suite, "name", json_string(path));
    return suite;

failed_at:
    (void)err_wrap(e, "%s", path);
failed:
    json_decref(suite);
    return NULL;
}

static int is_visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static json_t *load_directory(const char *path, struct err *e)
{
    json_t *programs = json_array();
    struct dirent **list;
    char full[PATH_MAX];
    int n = realpath(path, full) ? scandir(full, &list, is_visible, alphasort) : -1;

    if (n < 0) {
        json_decref(programs);
        (void)err_errno(e, errno, "%s", path);
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        json_t *file_name = joined(full, list[i]->d_name);
        const char *file = file_name ? json_string_value(file_name) : "";
        struct stat st;

        if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0)
            json_array_append_new(programs,
                                  json_pack("{s:s, s:[s]}", "name", list[i]->d_name, "argv", file));
        json_decref(file_name);
        free(list[i]);
    }
    free(list);
    if (json_array_size(programs) == 0) {
        json_decref(programs);
        (void)err_set(e, "%s has no executable file", path);
        return NULL;
    }
    return json_pack("{s:s, s:o}", "name", path, "programs", programs);
}

json_t *suite_load(const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        (void)err_errno(e, errno, "suite %s", path);
        return NULL;
    }
    return S_ISDIR(st.st_mode) ? load_directory(path, e) : load_manifest(path, e);
}
