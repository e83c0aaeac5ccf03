/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/support/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int signal_parse(const char *text, struct err *e)
{
    const char *name = strncasecmp(text, "SIG", 3) ? text : text + 3;
    char *end;
    long n = strtol(text, &end, 10);

    if (*text && !*end) {
        if (n >= 0 && n <= 64)
            return (int)n;
        return err_set(e, "unknown signal \"%s\"", text);
    }
    for (int i = 1; i < 32; i++) {
        const char *abbrev = sigabbrev_np(i);

        if (abbrev && !strcasecmp(abbrev, name))
            return i;
    }
    if (!strncasecmp(name, "RTMIN", 5) || !strncasecmp(name, "RTMAX", 5)) {
        long base = strncasecmp(name, "RTMIN", 5) ? 64 : 34;

        n = base + (name[5] ? strtol(name + 5, &end, 10) : 0);
        if ((!name[5] || !*end) && n >= 34 && n <= 64)
            return (int)n;
    }
    return err_set(e, "unknown signal \"%s\"", text);
}
