/* SPDX-License-Identifier: Apache-2.0 */
/* memfd_create(2), seals, O_TMPFILE. */
#include <sys/mman.h>

#include "tests/support/guest_test.h"

TEST(create)
{
    char link[64], name[64];
    struct stat st;
    ssize_t n;
    int fd = (int)sysp(SYS_memfd_create, "hello", 0u);

    REQUIRE(fd >= 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0777);
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(st.st_size, 0);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    n = readlink(name, link, sizeof(link) - 1);
    CHECK(n > 0);
    link[n > 0 ? n : 0] = '\0';
    CHECK_STR(link, "/memfd:hello (deleted)");
    CHECK_EQ(sysp(SYS_fcntl, fd, F_GET_SEALS, 0L), F_SEAL_SEAL);
    CHECK_ERR(sysp(SYS_fcntl, fd, F_ADD_SEALS, (long)F_SEAL_WRITE), EPERM);
    close(fd);
    CHECK_ERR(sysp(SYS_memfd_create, "x", 0x8000u), EINVAL);
    CHECK_ERR(sysp(SYS_memfd_create, BAD_PTR, 0u), EFAULT);
}

TEST(seals)
{
    int fd = (int)sysp(SYS_memfd_create, "s", (unsigned)MFD_ALLOW_SEALING);
    char *p;

    REQUIRE(fd >= 0);
    CHECK_EQ(ftruncate(fd, 8192), 0);
    p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(p != MAP_FAILED);
    p[5000] = 'x';
    CHECK_ERR(sysp(SYS_fcntl, fd, F_ADD_SEALS, (long)F_SEAL_WRITE), EBUSY);
    munmap(p, 8192);
    CHECK_EQ(sysp(SYS_fcntl, fd, F_ADD_SEALS, (long)(F_SEAL_WRITE | F_SEAL_SHRINK)), 0);
    CHECK_ERR(sysp(SYS_write, fd, "a", (size_t)1), EPERM);
    CHECK_ERR(sysp(SYS_ftruncate, fd, 100L), EPERM);
    CHECK_EQ(sysp(SYS_ftruncate, fd, 10000L), 0);
    CHECK_ERR(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0,
              EPERM);
    p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED && p[5000] == 'x');
    CHECK_EQ(sysp(SYS_fcntl, fd, F_ADD_SEALS, (long)(F_SEAL_GROW | F_SEAL_SEAL)), 0);
    CHECK_ERR(sysp(SYS_ftruncate, fd, 20000L), EPERM);
    CHECK_ERR(sysp(SYS_fcntl, fd, F_ADD_SEALS, 0L), EPERM);
    close(fd);
}

/* The first descriptor may write and is no writer; later ones are. */
TEST(exec_of_the_first_descriptor)
{
    char name[64], buf[65536];
    char *argv[] = {(char *)"memfd", (char *)"nothing_of_that_name", NULL}, *env[] = {NULL};
    int self = open("/proc/self/exe", O_RDONLY), fd = (int)sysp(SYS_memfd_create, "x", MFD_CLOEXEC),
        again;
    ssize_t n;

    REQUIRE(self >= 0 && fd >= 0);
    while ((n = read(self, buf, sizeof(buf))) > 0)
        REQUIRE(write(fd, buf, (size_t)n) == n);
    close(self);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    for (int round = 0; round < 2; round++) {
        int status = -1;
        pid_t pid = fork();

        if (!pid)
            _exit(sysp(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH) == -ETXTBSY ? 99 : 98);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(WEXITSTATUS(status) == 99, round == 1);
        if (round == 0)
            again = open(name, O_RDWR | O_CLOEXEC);
    }
    close(again);
    close(fd);
}

TEST(tmpfile)
{
    char name[64];
    struct stat st;
    int fd;

    test_tmpdir();
    fd = (int)sysp(SYS_open, ".", O_TMPFILE | O_RDWR, 0640);
    if (fd == -EOPNOTSUPP)
        SKIP("no O_TMPFILE here");
    REQUIRE(fd >= 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(write(fd, "abc", 3), 3);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    CHECK_EQ(linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
    CHECK_EQ(stat("named", &st), 0);
    CHECK_EQ(st.st_size, 3);
    CHECK_EQ(st.st_nlink, 1);
    close(fd);
    CHECK_ERR(sysp(SYS_open, ".", O_TMPFILE | O_RDONLY, 0640), EINVAL);
    CHECK_ERR(sysp(SYS_open, "named", O_TMPFILE | O_RDWR, 0640), ENOTDIR);
}

GUEST_TEST_MAIN
