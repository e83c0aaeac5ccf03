/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal's report: one line a program, then the counts. Colours only on a terminal. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runsc-c/compat/compat.h"

static const char *colour(const char *verdict)
{
    static const char *const codes[COMPAT_VERDICTS] = {"32", "33", "31", "2", "35"};

    for (int i = 0; i < COMPAT_VERDICTS; i++) {
        if (!strcmp(g_compat_verdicts[i], verdict))
            return codes[i];
    }
    return "0";
}

static void put_verdict(const json_t *side)
{
    const char *verdict = json_string_value(json_object_get(side, "verdict"));
    const char *separator = " (";
    char seen[100] = "";
    json_t *d;
    size_t i;

    if (isatty(STDOUT_FILENO))
        printf("\033[%sm%s\033[0m", colour(verdict), verdict);
    else
        printf("%s", verdict);
    json_array_foreach(json_object_get(side, "differences"), i, d)
    {
        const char *what = json_string_value(json_object_get(d, "what"));

        if (strstr(seen, what))
            continue;
        snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s ", what);
        printf("%s%s", separator, what);
        separator = ", ";
    }
    if (*seen)
        putchar(')');
}

void text_program(const json_t *program)
{
    const char *platform;
    json_t *native = json_object_get(program, "native"), *side;

    printf("%-32s native ", json_string_value(json_object_get(program, "name")));
    put_verdict(native);
    json_object_foreach(json_object_get(program, "platforms"), platform, side)
    {
        printf("  %s ", platform);
        put_verdict(side);
    }
    putchar('\n');
    fflush(stdout);
}

void text_summary(const json_t *result)
{
    const char *platform, *pass_name;
    json_t *counts, *v;
    size_t i;

    putchar('\n');
    json_object_foreach(json_object_get(result, "totals"), platform, counts)
    {
        json_int_t total = 0;

        for (int k = 0; k < COMPAT_VERDICTS; k++)
            total += json_integer_value(json_object_get(counts, g_compat_verdicts[k]));
        printf("%-8s %lld of %lld pass", platform,
               (long long)json_integer_value(json_object_get(counts, "pass")), (long long)total);
        for (int k = 1; k < COMPAT_VERDICTS; k++)
            printf(", %lld %s",
                   (long long)json_integer_value(json_object_get(counts, g_compat_verdicts[k])),
                   g_compat_verdicts[k]);
        printf(" (%lld expected)\n",
               (long long)json_integer_value(json_object_get(counts, "expected")));
    }
    json_array_foreach(json_object_get(result, "unexpected_passes"), i, v)
    {
        pass_name = json_string_value(v);
        printf("unexpected pass: take %s off the list\n", pass_name);
    }
}
