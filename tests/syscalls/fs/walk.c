/* SPDX-License-Identifier: Apache-2.0 */
/* getcwd, chdir, fchdir, chroot, getdents, getdents64, openat2, memfd_create, name_to_handle_at. */
#include <linux/memfd.h>
#include <sys/mman.h>

#include "tests/support/guest_test.h"

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

struct dent64 {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

TEST(working_directory)
{
    char buf[200], small[3];
    const char *tmp = test_tmpdir();
    int fd = open(".", O_RDONLY | O_DIRECTORY), file;

    REQUIRE(fd >= 0);
    CHECK_EQ(sysp(SYS_getcwd, buf, sizeof(buf)), (long)strlen(tmp) + 1);
    CHECK_STR(buf, tmp);
    CHECK_ERR(sysp(SYS_getcwd, small, (size_t)3), ERANGE);
    CHECK_ERR(sysp(SYS_getcwd, BAD_PTR, (size_t)100), EFAULT);
    CHECK(mkdir("d", 0700) == 0);
    CHECK_EQ(sysp(SYS_chdir, "d"), 0);
    CHECK(rmdir("../d") == 0);
    /* Linux: the raw call reports a removed directory with ENOENT. */
    CHECK_ERR(sysp(SYS_getcwd, buf, sizeof(buf)), ENOENT);
    CHECK_ERR(open("x", O_CREAT | O_RDWR, 0600), ENOENT);
    CHECK_EQ(sysp(SYS_fchdir, fd), 0);
    CHECK_ERR(sysp(SYS_chdir, "nothing"), ENOENT);
    file = open("f", O_CREAT | O_RDWR, 0600);
    CHECK_ERR(sysp(SYS_chdir, "f"), ENOTDIR);
    CHECK_ERR(sysp(SYS_fchdir, file), ENOTDIR);
    CHECK_ERR(sysp(SYS_fchdir, 9999), EBADF);
    CHECK_ERR(sysp(SYS_chdir, BAD_PTR), EFAULT);
    close(fd);
    close(file);
}

static void in_chroot(void)
{
    char buf[100];

    CHECK(mkdir("root", 0755) == 0 && mkdir("root/in", 0755) == 0);
    CHECK_EQ(sysp(SYS_chroot, "root"), 0);
    /* The working directory stays outside. */
    CHECK(sys(SYS_getcwd, buf, 100L) > 0);
    CHECK(strncmp(buf, "(unreachable)", 13) == 0);
    CHECK(chdir("/") == 0);
    CHECK(access("/in", F_OK) == 0);
    CHECK(access("/../../in", F_OK) == 0);
    CHECK_ERR(access("/etc", F_OK), ENOENT);
    CHECK_STR(getcwd(buf, sizeof(buf)), "/");
}

TEST(change_of_root)
{
    if (getuid() != 0)
        SKIP("needs root");
    test_tmpdir();
    CHECK_ERR(sysp(SYS_chroot, "nothing"), ENOENT);
    CHECK_EQ(test_in_child(in_chroot), 0);
}

TEST(directory_entries)
{
    char buf[4096];
    char name[20];
    int fd, seen = 0, dots = 0;
    long n;

    test_tmpdir();
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "file%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    fd = open(".", O_RDONLY | O_DIRECTORY);
    REQUIRE(fd >= 0);
    while ((n = sysp(SYS_getdents64, fd, buf, (unsigned)sizeof(buf))) > 0) {
        for (long at = 0; at < n; at += ((struct dent64 *)(buf + at))->reclen) {
            struct dent64 *d = (struct dent64 *)(buf + at);

            CHECK(d->reclen % 8 == 0);
            CHECK(d->ino != 0);
            if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
                dots++;
            else
                seen++;
        }
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(seen, 300);
    CHECK_EQ(dots, 2);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK(sysp(SYS_getdents, fd, buf, (unsigned)sizeof(buf)) > 0);
    CHECK_ERR(sysp(SYS_getdents64, fd, buf, 10u), EINVAL);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_ERR(sysp(SYS_getdents64, fd, BAD_PTR, 4096u), EFAULT);
    CHECK_ERR(sysp(SYS_getdents64, 9999, buf, 4096u), EBADF);
    close(fd);
    fd = open("file1", O_RDONLY);
    CHECK_ERR(sysp(SYS_getdents64, fd, buf, 4096u), ENOTDIR);
    close(fd);
}

TEST(reading_a_directory_while_removing)
{
    int left = 0;
    DIR *d;
    struct dirent *e;

    test_tmpdir();
    for (int i = 0; i < 500; i++) {
        char name[20];

        snprintf(name, sizeof(name), "f%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    d = opendir(".");
    REQUIRE(d);
    while ((e = readdir(d))) {
        if (e->d_name[0] == 'f')
            CHECK(unlink(e->d_name) == 0);
    }
    rewinddir(d);
    while ((e = readdir(d)))
        left += e->d_name[0] == 'f';
    closedir(d);
    CHECK_EQ(left, 0);
}

TEST(openat2_resolution)
{
    struct {
        uint64_t flags, mode, resolve, more;
    } how = {.flags = O_RDONLY};
    int dir;

    test_tmpdir();
    CHECK(mkdir("d", 0700) == 0 && close(open("d/f", O_CREAT | O_WRONLY, 0600)) == 0);
    CHECK(symlink("f", "d/rel") == 0 && symlink("/etc/passwd", "d/abs") == 0);
    CHECK(symlink("../d/f", "d/up") == 0);
    dir = open("d", O_PATH);
    if (sysp(SYS_openat2, dir, "f", &how, (size_t)24) == -ENOSYS)
        SKIP("no openat2");
    CHECK(sysp(SYS_openat2, dir, "f", &how, (size_t)24) >= 0);
    CHECK_ERR(sysp(SYS_openat2, dir, "f", &how, (size_t)23), EINVAL);
    CHECK(sysp(SYS_openat2, dir, "f", &how, (size_t)32) >= 0);
    how.more = 1;
    CHECK_ERR(sysp(SYS_openat2, dir, "f", &how, (size_t)32), E2BIG);
    how.resolve = 0x08; /* RESOLVE_BENEATH */
    CHECK(sysp(SYS_openat2, dir, "rel", &how, (size_t)24) >= 0);
    CHECK_ERR(sysp(SYS_openat2, dir, "abs", &how, (size_t)24), EXDEV);
    CHECK_ERR(sysp(SYS_openat2, dir, "up", &how, (size_t)24), EXDEV);
    CHECK_ERR(sysp(SYS_openat2, dir, "/etc/passwd", &how, (size_t)24), EXDEV);
    CHECK_ERR(sysp(SYS_openat2, dir, "..", &how, (size_t)24), EXDEV);
    how.resolve = 0x10; /* RESOLVE_IN_ROOT */
    CHECK_ERR(sysp(SYS_openat2, dir, "abs", &how, (size_t)24), ENOENT);
    CHECK(sysp(SYS_openat2, dir, "/../f", &how, (size_t)24) >= 0);
    how.resolve = 0x04; /* RESOLVE_NO_SYMLINKS */
    CHECK_ERR(sysp(SYS_openat2, dir, "rel", &how, (size_t)24), ELOOP);
    how.resolve = 0x8000;
    CHECK_ERR(sysp(SYS_openat2, dir, "f", &how, (size_t)24), EINVAL);
    how.resolve = 0;
    how.mode = 0600;
    CHECK_ERR(sysp(SYS_openat2, dir, "f", &how, (size_t)24), EINVAL);
    how.mode = 0;
    how.flags = 1ull << 40;
    CHECK_ERR(sysp(SYS_openat2, dir, "f", &how, (size_t)24), EINVAL);
    close(dir);
}

TEST(memory_files)
{
    struct stat st;
    char link[64], path[64];
    long n;
    int fd = (int)sysp(SYS_memfd_create, "name", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    REQUIRE(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(fd, "hello", 5), 5);
    CHECK(fstat(fd, &st) == 0);
    CHECK_EQ(st.st_size, 5);
    CHECK_EQ(st.st_nlink, 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = readlink(path, link, sizeof(link) - 1);
    CHECK(n > 0);
    link[n > 0 ? n : 0] = '\0';
    CHECK_STR(link, "/memfd:name (deleted)");
    CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    CHECK_ERR(ftruncate(fd, 2), EPERM);
    CHECK_ERR(ftruncate(fd, 10), EPERM);
    CHECK_EQ(pwrite(fd, "J", 1, 0), 1);
    CHECK_ERR(pwrite(fd, "x", 1, 5), EPERM);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL), 0);
    CHECK_ERR(pwrite(fd, "x", 1, 0), EPERM);
    CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    CHECK(mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK_EQ(errno, EPERM);
    CHECK_ERR(sysp(SYS_memfd_create, "x", 0x100u), EINVAL);
    CHECK_ERR(sysp(SYS_memfd_create, BAD_PTR, 0u), EFAULT);
    close(fd);
    fd = memfd_create("plain", 0);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
    close(fd);
}

GUEST_TEST_MAIN
