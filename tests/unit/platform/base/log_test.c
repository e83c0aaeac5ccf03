/* SPDX-License-Identifier: Apache-2.0 */
/* Times in the log, which are not made with the C library. */
#include "platform/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void same_as_libc(int64_t seconds)
{
    char ours[LOG_UTC_SIZE], theirs[LOG_UTC_SIZE];
    time_t t = (time_t)seconds;
    struct tm tm;

    log_utc(seconds, ours);
    assert_non_null(gmtime_r(&t, &tm));
    strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S", &tm);
    assert_string_equal(ours, theirs);
}

/* Every day of four centuries and the seconds beside midnight. */
static void dates(void **state)
{
    (void)state;
    same_as_libc(0);
    same_as_libc(1);
    for (int64_t day = -100 * 366; day < 300 * 366; day++) {
        same_as_libc(day * 86400);
        same_as_libc(day * 86400 - 1);
        same_as_libc(day * 86400 + 45296);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dates)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
