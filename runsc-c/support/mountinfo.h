/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self/mountinfo of the host; proc_pid_mountinfo(5). */
#pragma once

/* Undoes the escapes of a field (\ooo for blanks and backslashes), in place. */
void mountinfo_unescape(char *s);
