/* SPDX-License-Identifier: Apache-2.0 */
/* splice(2), tee(2), vmsplice(2). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <sys/uio.h>

TEST(file_to_pipe_to_file)
{
    static char data[100000], back[100000];
    loff_t off = 10;
    int in, out, p[2];
    size_t total = 0;

    test_tmpdir();
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 13);
    in = open("in", O_RDWR | O_CREAT | O_TRUNC, 0600);
    out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0600);
    REQUIRE(in >= 0 && out >= 0 && pipe(p) == 0);
    CHECK_EQ(write(in, data, sizeof(data)), sizeof(data));
    lseek(in, 0, SEEK_SET);
    while (total < sizeof(data)) {
        ssize_t n = splice(in, NULL, p[1], NULL, sizeof(data), 0);

        REQUIRE(n > 0);
        for (ssize_t done = 0; done < n;) {
            ssize_t m = splice(p[0], NULL, out, NULL, (size_t)(n - done), 0);

            REQUIRE(m > 0);
            done += m;
        }
        total += (size_t)n;
    }
    CHECK_EQ(pread(out, back, sizeof(back), 0), sizeof(back));
    CHECK(memcmp(data, back, sizeof(data)) == 0);
    CHECK_EQ(splice(in, &off, p[1], NULL, 5, 0), 5);
    CHECK_EQ(off, 15);
    CHECK_EQ(read(p[0], back, 10), 5);
    CHECK(memcmp(back, data + 10, 5) == 0);
    close(in);
    close(out);
    close(p[0]);
    close(p[1]);
}

TEST(between_pipes)
{
    char buf[16];
    int a[2], b[2];

    REQUIRE(pipe2(a, O_NONBLOCK) == 0 && pipe2(b, O_NONBLOCK) == 0);
    CHECK_ERR(splice(a[0], NULL, b[1], NULL, 5, 0), EAGAIN);
    CHECK_EQ(write(a[1], "0123456789", 10), 10);
    CHECK_EQ(tee(a[0], b[1], 4, 0), 4);
    CHECK_EQ(splice(a[0], NULL, b[1], NULL, 6, 0), 6);
    CHECK_EQ(read(b[0], buf, 16), 10);
    CHECK(memcmp(buf, "0123012345", 10) == 0);
    CHECK_EQ(read(a[0], buf, 16), 4);
    close(a[1]);
    CHECK_EQ(splice(a[0], NULL, b[1], NULL, 6, 0), 0);
    CHECK_EQ(tee(a[0], b[1], 6, 0), 0);
    close(a[0]);
    close(b[0]);
    close(b[1]);
}

TEST(user_memory)
{
    char text[] = "from user", buf[16] = "";
    struct iovec w = {text, 9}, r = {buf, 16};
    int p[2];

    REQUIRE(pipe(p) == 0);
    CHECK_EQ(vmsplice(p[1], &w, 1, 0), 9);
    CHECK_EQ(vmsplice(p[0], &r, 1, 0), 9);
    CHECK_STR(buf, "from user");
    close(p[0]);
    close(p[1]);
}

TEST(errors)
{
    loff_t off = 0;
    int p[2], q[2], f;

    test_tmpdir();
    f = open("f", O_RDWR | O_CREAT, 0600);
    REQUIRE(pipe(p) == 0 && pipe(q) == 0);
    CHECK_ERR(splice(f, NULL, f, NULL, 1, 0), EINVAL);
    CHECK_ERR(splice(p[0], &off, f, NULL, 1, 0), ESPIPE);
    CHECK_ERR(splice(p[1], NULL, f, NULL, 1, 0), EBADF);
    CHECK_ERR(splice(p[0], NULL, p[1], NULL, 1, 0), EINVAL);
    CHECK_ERR(splice(p[0], NULL, f, NULL, 1, 0x100), EINVAL);
    CHECK_EQ(splice(p[0], NULL, f, NULL, 0, 0), 0);
    CHECK_ERR(tee(p[0], f, 1, 0), EINVAL);
    CHECK_ERR(splice(p[0], NULL, 99, NULL, 1, 0), EBADF);
    close(f);
    f = open("f", O_WRONLY | O_APPEND);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_ERR(splice(p[0], NULL, f, NULL, 1, 0), EINVAL);
    close(f);
    for (int i = 0; i < 2; i++) {
        close(p[i]);
        close(q[i]);
    }
}

GUEST_TEST_MAIN
