/* SPDX-License-Identifier: Apache-2.0 */
/* Every host call that platform/host wraps has a row in syscall-table/host.tbl, and every row has a
 * reason. Reads the sources: RUNSC_SOURCE_DIR names the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = calloc(1, 1 << 20);
    size_t n;

    assert_non_null(f);
    assert_non_null(text);
    n = fread(text, 1, (1 << 20) - 1, f);
    assert_true(n > 0);
    fclose(f);
    return text;
}

/* Is there a row "ROLE CALL ..." for the call? */
static bool has_row(const char *table, const char *call, size_t len)
{
    for (const char *line = table; line && *line; line = strchr(line, '\n')) {
        const char *p;

        if (*line == '\n')
            line++;
        if (*line == '#' || *line == '\0')
            continue;
        p = line + strcspn(line, " \n");
        p += strspn(p, " ");
        if (strncmp(p, call, len) == 0 && p[len] == ' ')
            return true;
    }
    return false;
}

/* Made at start, by a process that has no filter yet. */
static bool before_filter(const char *call, size_t len)
{
    return strncmp(call, "seccomp", len) == 0 || strncmp(call, "memfd_create", len) == 0;
}

static void test_wrappers_have_rows(void **state)
{
    const char *root = getenv("RUNSC_SOURCE_DIR");
    char path[512], *table;
    glob_t files;

    (void)state;
    if (!root)
        skip();
    snprintf(path, sizeof(path), "%s/syscall-table/host.tbl", root);
    table = read_all(path);
    snprintf(path, sizeof(path), "%s/platform/host/*.c", root);
    assert_int_equal(glob(path, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *text = read_all(files.gl_pathv[i]);

        for (char *p = strstr(text, "SYS_"); p; p = strstr(p, "SYS_")) {
            size_t len = 0;

            p += 4;
            while (isalnum((unsigned char)p[len]) || p[len] == '_')
                len++;
            if (!has_row(table, p, len) && !before_filter(p, len))
                fail_msg("%s: %.*s has no row in host.tbl", files.gl_pathv[i], (int)len, p);
        }
        free(text);
    }
    globfree(&files);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wrappers_have_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
