/* SPDX-License-Identifier: Apache-2.0 */
/* openat2(2): RESOLVE_* and the checks of its struct; symlink walks at their limits. */
#include "tests/support/guest_test.h"

#define SYS_OPENAT2 437

struct how {
    uint64_t flags, mode, resolve, extra;
};

static long open2(int dirfd, const char *name, uint64_t flags, uint64_t resolve)
{
    struct how how = {.flags = flags, .resolve = resolve};

    return sysp(SYS_OPENAT2, dirfd, name, &how, (size_t)24);
}

static int g_dir;

static void tree(void)
{
    test_tmpdir();
    CHECK_EQ(mkdir("d", 0755), 0);
    CHECK_EQ(mkdir("d/e", 0755), 0);
    close(open("d/f", O_CREAT | O_RDWR, 0644));
    close(open("out", O_CREAT | O_RDWR, 0644));
    CHECK_EQ(symlink("../out", "d/up"), 0);
    CHECK_EQ(symlink("/f", "d/abs"), 0);
    CHECK_EQ(symlink("f", "d/in"), 0);
    CHECK_EQ(symlink("e/../f", "d/round"), 0);
    g_dir = open("d", O_RDONLY | O_DIRECTORY);
}

static void opens(long fd)
{
    if (CHECK_EQ(fd >= 0, 1))
        close((int)fd);
}

TEST(beneath)
{
    tree();
    opens(open2(g_dir, "f", O_RDONLY, 8));
    opens(open2(g_dir, "e/../f", O_RDONLY, 8));
    opens(open2(g_dir, "in", O_RDONLY, 8));
    opens(open2(g_dir, "round", O_RDONLY, 8));
    CHECK_ERR(open2(g_dir, "..", O_RDONLY, 8), EXDEV);
    CHECK_ERR(open2(g_dir, "../d/f", O_RDONLY, 8), EXDEV);
    CHECK_ERR(open2(g_dir, "up", O_RDONLY, 8), EXDEV);
    CHECK_ERR(open2(g_dir, "abs", O_RDONLY, 8), EXDEV);
    CHECK_ERR(open2(g_dir, "/etc/passwd", O_RDONLY, 8), EXDEV);
    CHECK_ERR(open2(g_dir, "new/../../x", O_RDONLY | O_CREAT, 8), ENOENT);
    close(g_dir);
}

TEST(in_root)
{
    struct stat a, b;
    long fd;

    tree();
    opens(open2(g_dir, "/f", O_RDONLY, 0x10));
    opens(open2(g_dir, "abs", O_RDONLY, 0x10));
    opens(open2(g_dir, "../../f", O_RDONLY, 0x10));
    CHECK_ERR(open2(g_dir, "up", O_RDONLY, 0x10), ENOENT);
    fd = open2(g_dir, "/..", O_PATH, 0x10);
    CHECK(fd >= 0);
    CHECK_EQ(fstat((int)fd, &a), 0);
    CHECK_EQ(fstat(g_dir, &b), 0);
    CHECK_EQ(a.st_ino, b.st_ino);
    close((int)fd);
    close(g_dir);
}

TEST(no_links)
{
    tree();
    CHECK_ERR(open2(g_dir, "in", O_RDONLY, 4), ELOOP);
    opens(open2(g_dir, "f", O_RDONLY, 4));
    opens(open2(g_dir, "in", O_PATH | O_NOFOLLOW, 4));
    CHECK_ERR(open2(AT_FDCWD, "/proc/self/fd/0", O_RDONLY, 2), ELOOP);
    opens(open2(g_dir, "in", O_RDONLY, 2));
    CHECK_ERR(open2(AT_FDCWD, "/proc/self/status", O_RDONLY, 1), EXDEV);
    close(g_dir);
}

TEST(struct_checks)
{
    struct how how = {.flags = O_RDONLY};

    tree();
    CHECK_ERR(sysp(SYS_OPENAT2, g_dir, "f", &how, (size_t)16), EINVAL);
    opens(sysp(SYS_OPENAT2, g_dir, "f", &how, (size_t)32));
    how.extra = 1;
    CHECK_ERR(sysp(SYS_OPENAT2, g_dir, "f", &how, (size_t)32), E2BIG);
    CHECK_ERR(sysp(SYS_OPENAT2, g_dir, "f", &how, (size_t)8192), E2BIG);
    CHECK_ERR(sysp(SYS_OPENAT2, g_dir, "f", BAD_PTR, (size_t)24), EFAULT);
    how = (struct how){.flags = 1ull << 40};
    CHECK_ERR(sysp(SYS_OPENAT2, g_dir, "f", &how, (size_t)24), EINVAL);
    how = (struct how){.mode = 0644};
    CHECK_ERR(sysp(SYS_OPENAT2, g_dir, "f", &how, (size_t)24), EINVAL);
    how = (struct how){.flags = O_CREAT | O_RDWR, .mode = 0x10000};
    CHECK_ERR(sysp(SYS_OPENAT2, g_dir, "g", &how, (size_t)24), EINVAL);
    CHECK_ERR(open2(g_dir, "f", O_PATH | O_RDWR, 0), EINVAL);
    CHECK_ERR(open2(g_dir, "f", O_RDONLY, 0x18), EINVAL);
    CHECK_ERR(open2(g_dir, "f", O_RDONLY, 0x40), EINVAL);
    close(g_dir);
}

TEST(link_limits)
{
    char from[16], to[16], path[4200];
    int i;

    test_tmpdir();
    close(open("l0", O_CREAT | O_RDWR, 0644));
    for (i = 1; i <= 41; i++) {
        snprintf(to, sizeof(to), "l%d", i - 1);
        snprintf(from, sizeof(from), "l%d", i);
        CHECK_EQ(symlink(to, from), 0);
    }
    opens(sysp(SYS_open, "l40", O_RDONLY, 0));
    CHECK_ERR(sysp(SYS_open, "l41", O_RDONLY, 0), ELOOP);
    CHECK_EQ(symlink("loop", "loop"), 0);
    CHECK_ERR(sysp(SYS_open, "loop", O_RDONLY, 0), ELOOP);
    CHECK_ERR(sysp(SYS_open, "loop", O_CREAT | O_RDWR, 0644), ELOOP);
    CHECK_ERR(sysp(SYS_open, "loop/x", O_RDONLY, 0), ELOOP);
    /* PATH_MAX counts the NUL. */
    memset(path, '/', sizeof(path));
    memcpy(path + 4095 - 2, "l0", 3);
    path[0] = '.';
    opens(sysp(SYS_open, path, O_RDONLY, 0));
    path[4095 - 2] = '/';
    memcpy(path + 4095 - 1, "l0", 3);
    CHECK_ERR(sysp(SYS_open, path, O_RDONLY, 0), ENAMETOOLONG);
    CHECK_EQ(symlink("l0/", "slash"), 0);
    CHECK_ERR(sysp(SYS_open, "slash", O_RDONLY, 0), ENOTDIR);
    CHECK_EQ(symlink("nowhere/", "new"), 0);
    CHECK_ERR(sysp(SYS_open, "new", O_CREAT | O_RDWR, 0644), EISDIR);
    CHECK_EQ(symlink("made", "make"), 0);
    opens(sysp(SYS_open, "make", O_CREAT | O_RDWR, 0644));
    CHECK_EQ(access("made", F_OK), 0);
}

GUEST_TEST_MAIN
