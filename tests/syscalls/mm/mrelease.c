/* SPDX-License-Identifier: Apache-2.0 */
/* process_mrelease(2). */
#include "tests/support/guest_test.h"

#define MRELEASE   448
#define PIDFD_OPEN 434

TEST(answers)
{
    int fd, pipefd[2], status;
    pid_t pid;
    char c;

    CHECK_ERR(sysp(MRELEASE, -1, 1u), EINVAL);
    CHECK_ERR(sysp(MRELEASE, -1, 0u), EBADF);
    CHECK_ERR(sysp(MRELEASE, 0, 0u), EBADF);
    REQUIRE(pipe(pipefd) == 0);
    pid = fork();
    if (pid == 0) {
        close(pipefd[1]);
        _exit(read(pipefd[0], &c, 1) == 0 ? 0 : 1);
    }
    fd = (int)sysp(PIDFD_OPEN, pid, 0u);
    REQUIRE(fd >= 0);
    CHECK_ERR(sysp(MRELEASE, fd, 0u), EINVAL); /* nobody killed it */
    close(pipefd[1]);
    WAIT_UNTIL(test_state(pid) == 'Z');
    CHECK_ERR(sysp(MRELEASE, fd, 0u), ESRCH); /* a zombie has no memory */
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_ERR(sysp(MRELEASE, fd, 0u), ESRCH);
    close(fd);
    close(pipefd[0]);
}

GUEST_TEST_MAIN
