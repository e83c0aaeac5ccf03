/* SPDX-License-Identifier: Apache-2.0 */
/* See mountinfo.h. */
#include "runsc-c/support/mountinfo.h"

void mountinfo_unescape(char *s)
{
    char *to = s;

    for (; *s; s++, to++) {
        if (s[0] == '\\' && s[1] && s[2] && s[3]) {
            *to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 3;
        } else {
            *to = *s;
        }
    }
    *to = '\0';
}
