/* SPDX-License-Identifier: Apache-2.0 */
/* process_vm_readv(2), process_vm_writev(2); NUMA policy calls on any machine. */
#include "tests/support/guest_test.h"

#include <sys/mman.h>
#include <sys/uio.h>

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

static long vm_read(pid_t pid, struct iovec *l, size_t ln, struct iovec *r, size_t rn)
{
    return sysp(SYS_process_vm_readv, pid, l, ln, r, rn, 0L);
}

TEST(own_memory)
{
    char a[100] = "hello world", b[100] = "", c[100] = "";
    struct iovec l[2] = {{b, 5}, {c, 6}}, r = {a, 11};

    CHECK_EQ(vm_read(getpid(), l, 2, &r, 1), 11);
    CHECK_STR(b, "hello");
    CHECK_STR(c, " world");
    CHECK_EQ(sysp(SYS_process_vm_writev, getpid(), l, (size_t)1, &r, (size_t)1, 0L), 5);
    CHECK_ERR(sysp(SYS_process_vm_readv, getpid(), l, (size_t)2, &r, (size_t)1, 1L), EINVAL);
    CHECK_ERR(vm_read(getpid(), l, 2000, &r, 1), EINVAL);
    CHECK_ERR(vm_read(getpid(), BAD_PTR, 2, &r, 1), EFAULT);
    CHECK_ERR(vm_read(getpid(), l, 1, BAD_PTR, 1), EFAULT);
    CHECK_EQ(vm_read(getpid(), l, 0, &r, 1), 0);
    CHECK_ERR(vm_read(0x3ffffff, l, 2, &r, 1), ESRCH);
}

TEST(holes_give_a_partial_count)
{
    char *p = mmap(NULL, 3 * PAGE, RW, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0), buf[2 * PAGE];
    struct iovec l = {buf, sizeof(buf)}, r = {p + PAGE - 100, 200};

    munmap(p + PAGE, PAGE);
    CHECK_EQ(vm_read(getpid(), &l, 1, &r, 1), 100);
    r.iov_base = p + PAGE;
    CHECK_ERR(vm_read(getpid(), &l, 1, &r, 1), EFAULT);
}

TEST(child)
{
    char *p = mmap(NULL, PAGE, RW, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0), buf[8] = "";
    struct iovec l = {buf, 4}, r = {p, 4};
    int up[2], down[2];
    pid_t pid;
    char c;

    REQUIRE(pipe(up) == 0 && pipe(down) == 0);
    pid = fork();
    if (pid == 0) {
        strcpy(p, "kid");
        c = (char)(write(up[1], "x", 1) + read(down[0], &c, 1));
        _exit(strcmp(p, "par") != 0);
    }
    REQUIRE(read(up[0], &c, 1) == 1);
    CHECK_EQ(vm_read(pid, &l, 1, &r, 1), 4);
    CHECK_STR(buf, "kid");
    strcpy(buf, "par");
    CHECK_EQ(sysp(SYS_process_vm_writev, pid, &l, (size_t)1, &r, (size_t)1, 0L), 4);
    CHECK_STR(p, "");
    REQUIRE(write(down[1], "x", 1) == 1);
    int st = -1;
    waitpid(pid, &st, 0);
    CHECK_EQ(st, 0);
}

TEST(policy)
{
    unsigned long mask[16] = {1};
    int pol = -1;
    char *p = mmap(NULL, PAGE, RW, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    long ret = sys(SYS_get_mempolicy, &pol, NULL, 0L, NULL, 0L);

    if (ret == -ENOSYS)
        SKIP("no NUMA calls");
    CHECK_EQ(ret, 0);
    CHECK_EQ(pol, 0);
    CHECK_ERR(sys(SYS_get_mempolicy, &pol, NULL, 0L, p, 0L), EINVAL);
    CHECK_ERR(sys(SYS_get_mempolicy, &pol, NULL, 0L, NULL, 64L), EINVAL);
    CHECK_ERR(sysp(SYS_set_mempolicy, 77, mask, 64L), EINVAL);
    CHECK_ERR(sysp(SYS_set_mempolicy, 0, mask, 64L), EINVAL);
    CHECK_EQ(sysp(SYS_set_mempolicy, 2, mask, 64L), 0);
    CHECK_EQ(sysp(SYS_set_mempolicy, 0, NULL, 0L), 0);
    CHECK_EQ(sysp(SYS_mbind, p, PAGE, 2L, mask, 64L, 0u), 0);
    CHECK_ERR(sysp(SYS_mbind, p + 1, PAGE, 2L, mask, 64L, 0u), EINVAL);
    CHECK_ERR(sysp(SYS_mbind, p, PAGE, 2L, mask, 64L, 64u), EINVAL);
    mask[0] = 0;
    CHECK_ERR(sysp(SYS_mbind, p, PAGE, 2L, mask, 64L, 0u), EINVAL);
    mask[0] = 1;
    CHECK_EQ(sysp(SYS_migrate_pages, 0, 64L, mask, mask), 0);
    CHECK_ERR(sys(SYS_set_mempolicy_home_node, p, PAGE, 0L, 1L), EINVAL);
}

TEST(move_pages_tells_nodes)
{
    char *p = mmap(NULL, 3 * PAGE, RW, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    void *pages[2] = {p, p + 2 * PAGE};
    int status[2] = {99, 99};
    long ret;

    p[0] = 1;
    munmap(p + 2 * PAGE, PAGE);
    ret = sysp(SYS_move_pages, 0, 2L, pages, NULL, status, 0);
    if (ret == -ENOSYS)
        SKIP("no NUMA calls");
    CHECK_EQ(ret, 0);
    CHECK_EQ(status[0], 0);
    CHECK_EQ(status[1], -EFAULT);
    CHECK_ERR(sysp(SYS_move_pages, 0, 2L, pages, NULL, status, 8), EINVAL);
}

GUEST_TEST_MAIN
