/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders accept what the encoders made and nothing that is out of bounds or malformed. */
#include "gofer/proto/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_names(void **state)
{
    char longest[256];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    assert_true(gp_name_valid("a", 1));
    assert_true(gp_name_valid("...", 3));
    assert_true(gp_name_valid("..a", 3));
    assert_true(gp_name_valid(longest, 255));
    assert_false(gp_name_valid(longest, 256));
    assert_false(gp_name_valid("", 0));
    assert_false(gp_name_valid(".", 1));
    assert_false(gp_name_valid("..", 2));
    assert_false(gp_name_valid("a/b", 3));
    assert_false(gp_name_valid("a\0b", 3));
}

static void test_attr_round_trip(void **state)
{
    struct gp_attr a = {.mode = 0100644,
                        .nlink = 2,
                        .uid = 1,
                        .gid = 2,
                        .blksize = 4096,
                        .flags = GP_ATTR_BTIME,
                        .dev = 1ull << 32 | 5,
                        .ino = 77,
                        .size = 1ull << 40,
                        .blocks = 8,
                        .mtime = {.sec = -5, .nsec = 999999999}};
    struct gp_attr b;
    uint8_t buf[GP_ATTR_SIZE];
    struct wbuf out;
    struct rbuf in;

    (void)state;
    wbuf_init(&out, buf, sizeof(buf));
    gp_put_attr(&out, &a);
    assert_false(out.bad);
    assert_int_equal(out.off, GP_ATTR_SIZE);
    rbuf_init(&in, buf, sizeof(buf));
    gp_get_attr(&in, &b);
    assert_true(rbuf_ok_at_end(&in));
    assert_int_equal(a.mode, b.mode);
    assert_int_equal(a.ino, b.ino);
    assert_int_equal(a.size, b.size);
    assert_int_equal(b.mtime.sec, -5);
    for (size_t size = 0; size < sizeof(buf); size++) {
        rbuf_init(&in, buf, size);
        gp_get_attr(&in, &b);
        assert_true(in.bad);
        assert_int_equal(b.mode, 0);
    }
}

static void test_attr_refuses_nonsense(void **state)
{
    static const struct gp_attr bad[] = {
        {.mode = 0644},                                   /* no type */
        {.mode = 0170644},                                /* impossible type */
        {.mode = 01100644},                               /* more bits than a mode has */
        {.mode = 0100644, .size = UINT64_MAX},            /* negative size */
        {.mode = 0100644, .flags = 8},                    /* unknown flag */
        {.mode = 0100644, .ctime = {.nsec = 1000000000}}, /* no nanosecond */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        uint8_t buf[GP_ATTR_SIZE];
        struct gp_attr got;
        struct wbuf out;
        struct rbuf in;

        wbuf_init(&out, buf, sizeof(buf));
        gp_put_attr(&out, &bad[i]);
        rbuf_init(&in, buf, sizeof(buf));
        gp_get_attr(&in, &got);
        assert_true(in.bad);
    }
}

static void test_header(void **state)
{
    uint8_t buf[64];
    struct gp_header h;
    struct wbuf out;
    struct rbuf in, body;

    (void)state;
    wbuf_init(&out, buf, sizeof(buf));
    gp_begin(&out, GP_GETATTR, 9);
    wbuf_u32(&out, 1);
    assert_true(gp_finish(&out, 0, -2));
    rbuf_init(&in, buf, out.off);
    assert_true(gp_get_header(&in, &h, &body));
    assert_true(rbuf_ok_at_end(&in));
    assert_int_equal(h.tag, 9);
    assert_int_equal(h.status, -2);
    assert_int_equal(rbuf_u32(&body), 1);
    assert_true(rbuf_ok_at_end(&body));
    for (size_t size = 0; size < out.off; size++) {
        rbuf_init(&in, buf, size);
        assert_false(gp_get_header(&in, &h, &body));
    }
    memset(buf, 0xff, 4); /* size field lies */
    rbuf_init(&in, buf, out.off);
    assert_false(gp_get_header(&in, &h, &body));
    memset(buf, 0, 4); /* smaller than a header */
    rbuf_init(&in, buf, out.off);
    assert_false(gp_get_header(&in, &h, &body));
}

static void test_walk_parts(void **state)
{
    struct gp_walk_part parts[GP_WALK_MAX];
    uint8_t buf[512];
    struct wbuf out;
    struct rbuf in;

    (void)state;
    wbuf_init(&out, buf, sizeof(buf));
    wbuf_u16(&out, 2);
    wbuf_u32(&out, 5);
    gp_put_string(&out, "usr", 3);
    wbuf_u32(&out, 6);
    gp_put_string(&out, "lib", 3);
    rbuf_init(&in, buf, out.off);
    assert_int_equal(gp_get_walk_parts(&in, parts, GP_WALK_MAX), 2);
    assert_memory_equal(parts[1].name.data, "lib", 3);
    rbuf_init(&in, buf, out.off);
    assert_int_equal(gp_get_walk_parts(&in, parts, 1), 0);
    rbuf_init(&in, buf, out.off - 1);
    assert_int_equal(gp_get_walk_parts(&in, parts, GP_WALK_MAX), 0);
    wbuf_init(&out, buf, sizeof(buf));
    wbuf_u16(&out, 1);
    wbuf_u32(&out, 5);
    gp_put_string(&out, "..", 2);
    rbuf_init(&in, buf, out.off);
    assert_int_equal(gp_get_walk_parts(&in, parts, GP_WALK_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_attr_round_trip),
        cmocka_unit_test(test_attr_refuses_nonsense),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_walk_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
