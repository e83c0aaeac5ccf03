/* SPDX-License-Identifier: Apache-2.0 */
/* landlock_create_ruleset(2), landlock_add_rule(2), landlock_restrict_self(2): what they refuse, layers,
 * scopes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "tests/support/guest_test.h"

#define CREATE   444
#define ADD      445
#define RESTRICT 446

#define FS_EXECUTE     0x1UL
#define FS_WRITE_FILE  0x2UL
#define FS_READ_FILE   0x4UL
#define FS_READ_DIR    0x8UL
#define FS_REMOVE_DIR  0x10UL
#define FS_REMOVE_FILE 0x20UL
#define FS_MAKE_DIR    0x80UL
#define FS_MAKE_REG    0x100UL
#define FS_MAKE_SYM    0x1000UL
#define FS_REFER       0x2000UL
#define FS_TRUNCATE    0x4000UL
#define FS_IOCTL_DEV   0x8000UL
#define FS_ALL         0xffffUL

struct ruleset {
    uint64_t fs, net, scoped;
};
struct __attribute__((packed)) beneath {
    uint64_t allowed;
    int32_t fd;
};
struct port {
    uint64_t allowed, port;
};

static bool missing(void)
{
    return sysp(CREATE, NULL, (size_t)0, 1u) < 7;
}

static int create(uint64_t fs, uint64_t net, uint64_t scoped)
{
    struct ruleset r = {fs, net, scoped};

    return (int)sysp(CREATE, &r, sizeof(r), 0u);
}

static long allow(int rs, const char *path, uint64_t rights)
{
    struct beneath b = {rights, open(path, O_PATH | O_CLOEXEC)};
    long ret = sysp(ADD, rs, 1, &b, 0u);

    close(b.fd);
    return ret;
}

static long allow_port(int rs, uint64_t port, uint64_t rights)
{
    struct port p = {rights, port};

    return sysp(ADD, rs, 2, &p, 0u);
}

static int restrict_to(int rs)
{
    int ret;

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ret = (int)sysp(RESTRICT, rs, 0u);
    close(rs);
    return ret;
}

TEST(errors_of_create)
{
    struct ruleset r = {FS_ALL, 3, 3};
    char big[64] = {0};

    if (missing())
        SKIP("landlock is older than ABI 7");
    CHECK_EQ(sysp(CREATE, NULL, (size_t)0, 1u), 7);
    CHECK(sysp(CREATE, NULL, (size_t)0, 2u) >= 0);
    CHECK_ERR(sysp(CREATE, NULL, (size_t)0, 3u), EINVAL);
    CHECK_ERR(sysp(CREATE, &r, (size_t)0, 1u), EINVAL);
    CHECK_ERR(sysp(CREATE, NULL, (size_t)8, 1u), EINVAL);
    CHECK_ERR(sysp(CREATE, NULL, (size_t)8, 0u), EFAULT);
    CHECK_ERR(sysp(CREATE, BAD_PTR, (size_t)7, 0u), EINVAL);
    CHECK_ERR(sysp(CREATE, BAD_PTR, (size_t)5000, 0u), E2BIG);
    CHECK_ERR(sysp(CREATE, BAD_PTR, (size_t)8, 0u), EFAULT);
    CHECK_ERR(create(0, 0, 0), ENOMSG);
    CHECK_ERR(create(0x10000, 0, 0), EINVAL);
    CHECK_ERR(create(1, 4, 0), EINVAL);
    CHECK_ERR(create(1, 0, 4), EINVAL);
    big[0] = 1;
    close((int)sysp(CREATE, big, sizeof(big), 0u));
    big[40] = 1;
    CHECK_ERR(sysp(CREATE, big, sizeof(big), 0u), E2BIG);
}

TEST(errors_of_rules)
{
    struct beneath b = {0, -1};
    struct port p = {0, 70000};
    int rs, pipefd[2];
    char c;

    if (missing())
        SKIP("landlock is older than ABI 7");
    test_tmpdir();
    close(open("f", O_CREAT | O_WRONLY, 0600));
    REQUIRE((rs = create(FS_READ_FILE | FS_READ_DIR, 1, 0)) >= 0);
    CHECK_EQ(fcntl(rs, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(read(rs, &c, 1), EINVAL);
    CHECK_ERR(write(rs, &c, 1), EINVAL);
    CHECK_ERR(sysp(ADD, -1, 9, BAD_PTR, 1u), EINVAL);
    CHECK_ERR(sysp(ADD, -1, 9, BAD_PTR, 0u), EBADF);
    CHECK_ERR(sysp(ADD, 0, 9, BAD_PTR, 0u), EBADFD);
    CHECK_ERR(sysp(ADD, rs, 9, BAD_PTR, 0u), EINVAL);
    CHECK_ERR(sysp(ADD, rs, 1, BAD_PTR, 0u), EFAULT);
    CHECK_ERR(sysp(ADD, rs, 1, &b, 0u), ENOMSG);
    b.allowed = FS_EXECUTE;
    CHECK_ERR(sysp(ADD, rs, 1, &b, 0u), EINVAL);
    b.allowed = FS_READ_FILE;
    CHECK_ERR(sysp(ADD, rs, 1, &b, 0u), EBADF);
    b.fd = rs;
    CHECK_ERR(sysp(ADD, rs, 1, &b, 0u), EBADFD);
    CHECK_EQ(pipe(pipefd), 0);
    b.fd = pipefd[0];
    CHECK_ERR(sysp(ADD, rs, 1, &b, 0u), EBADFD);
    close(pipefd[0]);
    close(pipefd[1]);
    CHECK_ERR(allow(rs, "f", FS_READ_DIR), EINVAL);
    CHECK_EQ(allow(rs, "f", FS_READ_FILE), 0);
    CHECK_EQ(allow(rs, ".", FS_READ_DIR), 0);
    CHECK_ERR(sysp(ADD, rs, 2, &p, 0u), ENOMSG);
    CHECK_ERR(allow_port(rs, 70000, 2), EINVAL);
    CHECK_ERR(allow_port(rs, 65536, 1), EINVAL);
    CHECK_EQ(allow_port(rs, 65535, 1), 0);
    close(rs);
}

static void without_privilege(void)
{
    int rs = create(FS_EXECUTE, 0, 0);

    if (geteuid() == 0 && setresuid(1, 1, 1))
        return;
    CHECK_ERR(sysp(RESTRICT, -1, 0u), EPERM);
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_ERR(sysp(RESTRICT, -1, 8u), EINVAL);
    CHECK_ERR(sysp(RESTRICT, -1, 0u), EBADF);
    CHECK_EQ(sysp(RESTRICT, -1, 4u), 0);
    CHECK_ERR(sysp(RESTRICT, 0, 0u), EBADFD);
    for (int i = 0; i < 16; i++)
        CHECK_EQ(sysp(RESTRICT, rs, 0u), 0);
    CHECK_ERR(sysp(RESTRICT, rs, 0u), E2BIG);
}

TEST(restrict_self)
{
    if (missing())
        SKIP("landlock is older than ABI 7");
    CHECK_EQ(test_in_child(without_privilege), 0);
}

static void files(void)
{
    int rs = create(FS_ALL, 0, 0), before = open("other/f", O_RDWR), fd;
    char c;

    CHECK_EQ(allow(rs, "ro", FS_READ_FILE | FS_READ_DIR), 0);
    CHECK_EQ(allow(rs, "rw", FS_ALL & ~(FS_TRUNCATE | FS_MAKE_SYM)), 0);
    CHECK_EQ(allow(rs, "other/one", FS_READ_FILE), 0);
    CHECK_EQ(allow(rs, "/dev", FS_READ_FILE), 0);
    REQUIRE(restrict_to(rs) == 0);
    CHECK((fd = open("ro/f", O_RDONLY)) >= 0);
    close(fd);
    CHECK_ERR(open("ro/f", O_RDWR), EACCES);
    CHECK_ERR(open("ro/f", O_WRONLY | O_TRUNC), EACCES);
    CHECK_ERR(open("ro/new", O_CREAT | O_WRONLY, 0600), EACCES);
    CHECK((fd = open("ro", O_RDONLY | O_DIRECTORY)) >= 0);
    close(fd);
    CHECK_ERR(open("other", O_RDONLY | O_DIRECTORY), EACCES);
    CHECK((fd = open("other", O_PATH)) >= 0); /* names no right */
    CHECK_ERR(openat(fd, "f", O_RDONLY), EACCES);
    close(fd);
    CHECK_ERR(open("other/f", O_RDONLY), EACCES);
    CHECK((fd = open("other/one", O_RDONLY)) >= 0);
    close(fd);
    CHECK_ERR(open("other/one", O_WRONLY), EACCES);
    CHECK_ERR(mkdir("other/d", 0700), EACCES);
    CHECK_ERR(symlink("x", "other/s"), EACCES);
    CHECK_ERR(mkfifo("other/p", 0600), EACCES);
    CHECK_ERR(unlink("other/f"), EACCES);
    CHECK_ERR(rmdir("other/sub"), EACCES);
    CHECK_ERR(unlink("other/none"), ENOENT);
    CHECK_ERR(execl("ro/f", "f", NULL), EACCES);
    CHECK_ERR(truncate("other/f", 0), EACCES);
    CHECK_EQ(access("other/f", R_OK | W_OK), 0);
    CHECK_EQ(chmod("other/f", 0644), 0);
    /* What was opened before stays open. */
    CHECK_EQ(pwrite(before, "x", 1, 0), 1);
    CHECK_EQ(pread(before, &c, 1, 0), 1);
    CHECK_EQ(ftruncate(before, 3), 0);
    /* Inside the tree. */
    CHECK((fd = open("rw/new", O_CREAT | O_RDWR | O_EXCL, 0600)) >= 0);
    CHECK_EQ(write(fd, "abc", 3), 3);
    CHECK_ERR(ftruncate(fd, 1), EACCES);
    CHECK_ERR(truncate("rw/new", 1), EACCES);
    CHECK_ERR(open("rw/new", O_WRONLY | O_TRUNC), EACCES);
    close(fd);
    CHECK_EQ(mkdir("rw/d", 0700), 0);
    CHECK_ERR(symlink("x", "rw/s"), EACCES);
    CHECK_EQ(rmdir("rw/d"), 0);
    CHECK_EQ(unlink("rw/new"), 0);
    /* Files without a place in the tree. */
    CHECK((fd = (int)syscall(SYS_memfd_create, "m", 0)) >= 0);
    CHECK_EQ(ftruncate(fd, 4096), 0);
    close(fd);
    CHECK((fd = open("/dev/null", O_RDONLY)) >= 0);
    CHECK_ERR(ioctl(fd, TIOCGWINSZ, &c), EACCES);
    CHECK_EQ(ioctl(fd, FIOCLEX), 0);
    close(fd);
}

static void make_tree(void)
{
    test_tmpdir();
    mkdir("ro", 0700);
    mkdir("rw", 0700);
    mkdir("other", 0700);
    mkdir("other/sub", 0700);
    close(open("ro/f", O_CREAT | O_WRONLY, 0700));
    close(open("rw/f", O_CREAT | O_WRONLY, 0600));
    close(open("other/f", O_CREAT | O_WRONLY, 0600));
    close(open("other/one", O_CREAT | O_WRONLY, 0600));
}

TEST(rights_to_files)
{
    if (missing())
        SKIP("landlock is older than ABI 7");
    make_tree();
    CHECK_EQ(test_in_child(files), 0);
}

static void layers(void)
{
    int rs = create(FS_READ_FILE | FS_WRITE_FILE, 0, 0), fd;

    CHECK_EQ(allow(rs, "/", FS_READ_FILE), 0);
    CHECK_EQ(allow(rs, "rw", FS_WRITE_FILE), 0);
    REQUIRE(restrict_to(rs) == 0);
    CHECK((fd = open("rw/f", O_RDWR)) >= 0);
    close(fd);
    CHECK_ERR(open("ro/f", O_RDWR), EACCES);
    /* A second layer can only take away. */
    rs = create(FS_WRITE_FILE, 0, 0);
    CHECK_EQ(allow(rs, "/", FS_WRITE_FILE), 0);
    REQUIRE(restrict_to(rs) == 0);
    CHECK_ERR(open("ro/f", O_RDWR), EACCES);
    CHECK((fd = open("rw/f", O_RDWR)) >= 0);
    close(fd);
    rs = create(FS_READ_FILE, 0, 0);
    CHECK_EQ(allow(rs, "ro", FS_READ_FILE), 0);
    REQUIRE(restrict_to(rs) == 0);
    CHECK_ERR(open("rw/f", O_RDWR), EACCES);
    CHECK((fd = open("rw/f", O_WRONLY)) >= 0);
    close(fd);
    CHECK((fd = open("ro/f", O_RDONLY)) >= 0);
    close(fd);
    /* Children and what they execute have it, too. */
    if (fork() == 0)
        _exit(open("rw/f", O_RDONLY) < 0 && errno == EACCES ? 0 : 1);
    CHECK((wait(&fd), fd == 0));
}

TEST(layers_take_away)
{
    if (missing())
        SKIP("landlock is older than ABI 7");
    make_tree();
    CHECK_EQ(test_in_child(layers), 0);
}

static void no_refer(void)
{
    int rs = create(FS_READ_FILE, 0, 0);

    CHECK_EQ(allow(rs, "/", FS_READ_FILE), 0);
    REQUIRE(restrict_to(rs) == 0);
    CHECK_EQ(rename("rw/f", "rw/g"), 0);
    CHECK_EQ(link("rw/g", "rw/f"), 0);
    CHECK_ERR(rename("rw/g", "ro/g"), EXDEV);
    CHECK_ERR(link("rw/g", "ro/g"), EXDEV);
    CHECK_ERR(rename("rw/none", "ro/g"), ENOENT);
}

static void refer(void)
{
    int rs = create(FS_REFER | FS_MAKE_REG | FS_REMOVE_FILE | FS_EXECUTE, 0, 0);

    CHECK_EQ(allow(rs, "rw", FS_REFER | FS_MAKE_REG | FS_REMOVE_FILE), 0);
    CHECK_EQ(allow(rs, "ro", FS_REFER | FS_MAKE_REG), 0);
    CHECK_EQ(allow(rs, "other", FS_REFER | FS_MAKE_REG | FS_EXECUTE), 0);
    REQUIRE(restrict_to(rs) == 0);
    CHECK_EQ(link("rw/f", "ro/g"), 0);
    CHECK_EQ(rename("rw/f", "ro/h"), 0);
    CHECK_ERR(rename("ro/h", "rw/f"), EACCES); /* may not be removed there */
    CHECK_EQ(link("ro/h", "rw/f"), 0);
    CHECK_ERR(link("rw/f", "other/x"), EXDEV); /* would become executable */
    CHECK_EQ(link("other/f", "rw/x"), 0);
    CHECK_ERR(link("rw/f", "x"), EACCES);
}

TEST(moving_to_another_directory)
{
    if (missing())
        SKIP("landlock is older than ABI 7");
    make_tree();
    CHECK_EQ(test_in_child(no_refer), 0);
    make_tree();
    CHECK_EQ(test_in_child(refer), 0);
}

static void mounts(void)
{
    int rs = create(FS_READ_FILE, 0, 0);

    CHECK_EQ(allow(rs, "/", FS_READ_FILE), 0);
    REQUIRE(restrict_to(rs) == 0);
    CHECK_ERR(mount("x", "ro", "tmpfs", 0, NULL), EPERM);
    CHECK_ERR(umount("/proc"), EPERM);
}

TEST(mount_tree)
{
    if (missing() || geteuid())
        SKIP("needs root and landlock");
    make_tree();
    CHECK_EQ(test_in_child(mounts), 0);
}

static long tcp(int how, int family, int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    int s = socket(family, SOCK_STREAM, 0);
    long ret;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in6.sin6_addr = in6addr_loopback;
    if (family == AF_INET)
        ret = how ? connect(s, (void *)&in, sizeof(in)) : bind(s, (void *)&in, sizeof(in));
    else
        ret = how ? connect(s, (void *)&in6, sizeof(in6)) : bind(s, (void *)&in6, sizeof(in6));
    ret = ret < 0 ? -errno : 0;
    close(s);
    return ret;
}

static void ports(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(34567)};
    int rs = create(0, 3, 0), s;

    CHECK_EQ(allow_port(rs, 34511, 1), 0);
    CHECK_EQ(allow_port(rs, 34512, 2), 0);
    REQUIRE(restrict_to(rs) == 0);
    CHECK_EQ(tcp(0, AF_INET, 34511), 0);
    CHECK_EQ(tcp(0, AF_INET, 34512), -EACCES);
    CHECK_EQ(tcp(0, AF_INET6, 34513), -EACCES);
    CHECK_EQ(tcp(1, AF_INET, 34511), -EACCES);
    CHECK_EQ(tcp(1, AF_INET6, 34511), -EACCES);
    CHECK_EQ(tcp(1, AF_INET, 34512), -ECONNREFUSED);
    s = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(bind(s, (void *)&in, sizeof(in)), 0);
    close(s);
    s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERR(bind(s, (void *)&in, 3), EINVAL);
    in.sin_family = AF_INET6;
    CHECK_ERR(bind(s, (void *)&in, sizeof(in)), EINVAL);
    in.sin_family = AF_UNSPEC;
    CHECK_ERR(bind(s, (void *)&in, sizeof(in)), EACCES);
    CHECK_EQ(connect(s, (void *)&in, sizeof(in)), 0);
    close(s);
}

TEST(tcp_ports)
{
    if (missing())
        SKIP("landlock is older than ABI 7");
    CHECK_EQ(test_in_child(ports), 0);
}

static void scopes(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0guest-test-landlock"};
    char byte = 0;
    struct iovec local = {&byte, 1}, remote = {&byte, 1};
    int inside, outside, rs, status;
    pid_t parent = getppid(), child;

    outside = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind(outside, (void *)&un, sizeof(un)), 0);
    CHECK_EQ(listen(outside, 4), 0);
    CHECK_EQ(kill(parent, 0), 0);
    rs = create(0, 0, 3);
    REQUIRE(restrict_to(rs) == 0);
    CHECK_ERR(kill(parent, 0), EPERM);
    CHECK_EQ(kill(getpid(), 0), 0);
    CHECK_ERR(syscall(SYS_process_vm_readv, parent, &local, 1L, &remote, 1L, 0L), EPERM);
    inside = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERR(connect(inside, (void *)&un, sizeof(un)), EPERM);
    close(outside);
    /* A socket of the domain's own, and a child in it. */
    outside = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind(outside, (void *)&un, sizeof(un)), 0);
    CHECK_EQ(listen(outside, 4), 0);
    CHECK_EQ(connect(inside, (void *)&un, sizeof(un)), 0);
    child = fork();
    if (child == 0) {
        restrict_to(create(FS_EXECUTE, 0, 0));
        _exit(kill(getppid(), 0) == 0 ? 0 : 1);
    }
    CHECK_EQ(kill(child, 0), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    close(outside);
    close(inside);
}

TEST(scopes_of_signals_and_names)
{
    if (missing())
        SKIP("landlock is older than ABI 7");
    CHECK_EQ(test_in_child(scopes), 0);
}

GUEST_TEST_MAIN
