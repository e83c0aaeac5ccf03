/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/support/users.h"

#include <pwd.h>
#include <stdio.h>

/* Not getpwuid: a static binary has no name services. */
void user_name(unsigned uid, char *buf, size_t size)
{
    FILE *file = fopen("/etc/passwd", "re");
    struct passwd *user = NULL;

    while (file && (user = fgetpwent(file)) && user->pw_uid != uid)
        ;
    if (user)
        snprintf(buf, size, "%s", user->pw_name);
    else
        snprintf(buf, size, "%u", uid);
    if (file)
        fclose(file);
}
