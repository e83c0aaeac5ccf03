/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deny_syscall NAME[:ARG=VALUE][,...] CMD ARGS...: runs CMD on a host where these calls fail with EPERM; with
 * ARG (0 to 5), where that argument has the value.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    char *save = NULL;

    if (argc < 3 || !ctx) {
        fprintf(stderr, "usage: deny_syscall NAME[,NAME...] CMD ARGS...\n");
        return 2;
    }
    for (char *name = strtok_r(argv[1], ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        char *check = strchr(name, ':');
        struct scmp_arg_cmp arg = {.op = SCMP_CMP_EQ};
        int nr;

        if (check) {
            *check++ = '\0';
            arg.arg = (unsigned)strtoul(check, &check, 0);
            arg.datum_a = strtoull(check + (*check == '='), NULL, 0);
        }
        nr = seccomp_syscall_resolve_name(name);
        if (nr == __NR_SCMP_ERROR ||
            seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), nr, check ? 1 : 0, &arg) < 0) {
            fprintf(stderr, "deny_syscall: %s?\n", name);
            return 2;
        }
    }
    if (seccomp_load(ctx) < 0) {
        perror("seccomp_load");
        return 2;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
