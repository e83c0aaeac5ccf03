/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of expected differences (`NAME: reason`, or `NAME@PLATFORM: reason`), and what it makes
 * of a result. An entry whose program ran and passed makes the result unclean as well: the list
 * stays true.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runsc-c/compat/compat.h"

const char *const g_compat_verdicts[COMPAT_VERDICTS] = {"pass", "differ", "fail", "skip",
                                                        "timeout"};

static int parse_line(json_t *list, char *line, const char *path, unsigned number, struct err *e)
{
    char *reason;

    line[strcspn(line, "\n")] = '\0';
    if (!*line || *line == '#')
        return 0;
    reason = strstr(line, ": ");
    if (!reason || !reason[2])
        return err_set(e, "%s:%u: not \"NAME: reason\"", path, number);
    *reason = '\0';
    if (json_object_set_new(list, line, json_string(reason + 2)) < 0)
        return err_set(e, "%s:%u: not UTF-8", path, number);
    return 0;
}

static json_t *read_list(const char *path, struct err *e)
{
    FILE *f = fopen(path, "re");
    json_t *list = json_object();
    char *line = NULL;
    size_t cap = 0;
    unsigned number = 0;
    int ret = 0;

    if (!f) {
        json_decref(list);
        (void)err_errno(e, errno, "--expected %s", path);
        return NULL;
    }
    while (ret == 0 && getline(&line, &cap, f) >= 0)
        ret = parse_line(list, line, path, ++number, e);
    free(line);
    fclose(f);
    if (ret < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

int expected_check(const char *path, struct err *e)
{
    json_t *list = path ? read_list(path, e) : json_object();

    json_decref(list);
    return list ? 0 : -1;
}

static bool differs(const char *verdict)
{
    return strcmp(verdict, "pass") != 0 && strcmp(verdict, "skip") != 0;
}

/* One program on one platform. */
static void apply_one(const json_t *list, const char *name, const char *platform, json_t *side,
                      json_t *passes)
{
    const char *verdict = json_string_value(json_object_get(side, "verdict"));
    char key[512];
    const json_t *reason;

    snprintf(key, sizeof(key), "%s@%s", name, platform);
    reason = json_object_get(list, key);
    if (!reason) {
        snprintf(key, sizeof(key), "%s", name);
        reason = json_object_get(list, key);
    }
    if (!reason)
        return;
    if (differs(verdict))
        json_object_set_new(side, "expected", json_string(json_string_value(reason)));
    else if (!strcmp(verdict, "pass"))
        json_array_append_new(passes, json_sprintf("%s@%s", name, platform));
}

int expected_apply(const char *path, json_t *result, struct err *e)
{
    json_t *list = path ? read_list(path, e) : json_object(), *passes = json_array();
    json_t *program, *side;
    const char *platform;
    size_t i;

    if (!list) {
        json_decref(passes);
        return -1;
    }
    json_array_foreach(json_object_get(result, "programs"), i, program)
    {
        const char *name = json_string_value(json_object_get(program, "name"));

        json_object_foreach(json_object_get(program, "platforms"), platform, side)
            apply_one(list, name, platform, side, passes);
    }
    json_decref(list);
    return json_object_set_new(result, "unexpected_passes", passes);
}

bool result_is_clean(const json_t *result)
{
    json_t *program, *side;
    const char *platform;
    size_t i;

    if (json_array_size(json_object_get(result, "unexpected_passes")) > 0)
        return false;
    json_array_foreach(json_object_get(result, "programs"), i, program)
    {
        if (differs(
                json_string_value(json_object_get(json_object_get(program, "native"), "verdict"))))
            return false;
        json_object_foreach(json_object_get(program, "platforms"), platform, side)
        {
            if (differs(json_string_value(json_object_get(side, "verdict"))) &&
                !json_object_get(side, "expected"))
                return false;
        }
    }
    return true;
}

static void count_one(json_t *totals, const char *platform, const json_t *side)
{
    json_t *counts = json_object_get(totals, platform);
    const char *verdict = json_string_value(json_object_get(side, "verdict"));

    if (!counts) {
        counts = json_object();
        for (int i = 0; i < COMPAT_VERDICTS; i++)
            json_object_set_new(counts, g_compat_verdicts[i], json_integer(0));
        json_object_set_new(counts, "expected", json_integer(0));
        json_object_set_new(totals, platform, counts);
    }
    json_object_set_new(counts, verdict,
                        json_integer(json_integer_value(json_object_get(counts, verdict)) + 1));
    if (json_object_get(side, "expected"))
        json_object_set_new(
            counts, "expected",
            json_integer(json_integer_value(json_object_get(counts, "expected")) + 1));
}

int result_count(json_t *result)
{
    json_t *totals = json_object(), *program, *side;
    const char *platform;
    size_t i;

    json_array_foreach(json_object_get(result, "programs"), i, program)
    {
        count_one(totals, "native", json_object_get(program, "native"));
        json_object_foreach(json_object_get(program, "platforms"), platform, side)
            count_one(totals, platform, side);
    }
    return json_object_set_new(result, "totals", totals);
}
