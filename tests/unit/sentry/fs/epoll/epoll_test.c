/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sentry/fs/fs_unit.h"

#include "sentry/fs/epoll/epoll.h"
#include "sentry/fs/eventfd/eventfd.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/fs/timerfd/timerfd.h"

static struct file *new_epoll(void)
{
    struct file *f;

    assert_int_equal(epoll_create_file(&f), 0);
    return f;
}

static struct file *new_eventfd(uint64_t n)
{
    struct file *f;

    assert_int_equal(eventfd_create(n, 04000, &f), 0);
    return f;
}

static int add(struct file *ep, struct file *f, int fd, uint32_t events)
{
    struct lx_epoll_event ev = {events, (uint64_t)fd};

    return epoll_ctl(ep, LX_EPOLL_CTL_ADD, fd, f, &ev);
}

static int mod(struct file *ep, struct file *f, int fd, uint32_t events)
{
    struct lx_epoll_event ev = {events, (uint64_t)fd};

    return epoll_ctl(ep, LX_EPOLL_CTL_MOD, fd, f, &ev);
}

static int poll_once(struct file *ep, struct lx_epoll_event *out)
{
    return epoll_wait_events(ep, out, 8, 0);
}

static void bump(struct file *f)
{
    uint64_t one = 1;

    assert_int_equal(unit_write(f, &one, 8), 8);
}

static void drain(struct file *f)
{
    uint64_t n;

    assert_int_equal(unit_read(f, &n, 8), 8);
}

static void test_level(void **state)
{
    struct file *ep = new_epoll(), *e = new_eventfd(0);
    struct lx_epoll_event ev[8];

    assert_int_equal(add(ep, e, 5, WAKE_IN), 0);
    assert_int_equal(add(ep, e, 5, WAKE_IN), -EEXIST);
    assert_int_equal(add(ep, e, 6, WAKE_IN | WAKE_OUT), 0);
    assert_int_equal(epoll_item_count(ep), 2);
    assert_int_equal(poll_once(ep, ev), 1);
    assert_int_equal(ev[0].data, 6);
    assert_int_equal(ev[0].events, WAKE_OUT);
    bump(e);
    assert_int_equal(poll_once(ep, ev), 2);
    assert_int_equal(poll_once(ep, ev), 2);
    drain(e);
    assert_int_equal(poll_once(ep, ev), 1);
    file_put(e); /* the close removes both */
    assert_int_equal(epoll_item_count(ep), 0);
    assert_int_equal(poll_once(ep, ev), 0);
    file_put(ep);
}

static void test_edge_and_oneshot(void **state)
{
    struct file *ep = new_epoll(), *e = new_eventfd(1), *o = new_eventfd(1);
    struct lx_epoll_event ev[8];

    assert_int_equal(add(ep, e, 1, WAKE_IN | LX_EPOLLET), 0);
    assert_int_equal(poll_once(ep, ev), 1);
    assert_int_equal(poll_once(ep, ev), 0);
    bump(e);
    assert_int_equal(poll_once(ep, ev), 1);
    assert_int_equal(poll_once(ep, ev), 0);
    assert_int_equal(mod(ep, e, 1, WAKE_IN | LX_EPOLLET), 0);
    assert_int_equal(poll_once(ep, ev), 1);

    assert_int_equal(add(ep, o, 2, WAKE_IN | LX_EPOLLONESHOT), 0);
    assert_int_equal(poll_once(ep, ev), 1);
    assert_int_equal(ev[0].data, 2);
    bump(o);
    assert_int_equal(poll_once(ep, ev), 0);
    assert_int_equal(mod(ep, o, 2, WAKE_IN | LX_EPOLLONESHOT), 0);
    assert_int_equal(poll_once(ep, ev), 1);
    assert_int_equal(epoll_ctl(ep, LX_EPOLL_CTL_DEL, 2, o, NULL), 0);
    assert_int_equal(epoll_ctl(ep, LX_EPOLL_CTL_DEL, 2, o, NULL), -ENOENT);
    file_put(ep);
    file_put(e);
    file_put(o);
}

static void test_nested(void **state)
{
    struct file *chain[7], *e = new_eventfd(0);
    struct lx_epoll_event ev[8];

    for (int i = 0; i < 7; i++)
        chain[i] = new_epoll();
    assert_int_equal(add(chain[0], e, 9, WAKE_IN), 0);
    assert_int_equal(add(chain[0], chain[0], 1, WAKE_IN), -EINVAL);
    for (int i = 1; i < 5; i++)
        assert_int_equal(add(chain[i], chain[i - 1], i, WAKE_IN), 0);
    assert_int_equal(add(chain[5], chain[4], 5, WAKE_IN), -ELOOP);
    assert_int_equal(add(chain[0], chain[4], 5, WAKE_IN), -ELOOP);
    assert_int_equal(poll_once(chain[4], ev), 0);
    bump(e);
    for (int i = 4; i >= 1; i--) {
        assert_int_equal(file_poll(chain[i]), WAKE_IN | WAKE_RDNORM);
        assert_int_equal(poll_once(chain[i], ev), 1);
        assert_int_equal(ev[0].data, i);
    }
    drain(e);
    assert_int_equal(poll_once(chain[4], ev), 0);
    assert_int_equal(file_poll(chain[1]), 0);
    file_put(chain[2]); /* a hole in the middle */
    bump(e);
    assert_int_equal(poll_once(chain[1], ev), 1);
    assert_int_equal(poll_once(chain[4], ev), 0);
    for (int i = 0; i < 7; i++) {
        if (i != 2)
            file_put(chain[i]);
    }
    file_put(e);
}

static void *bump_later(void *arg)
{
    unit_thread_init();
    usleep(20000);
    bump(arg);
    return NULL;
}

static void test_sleep(void **state)
{
    struct file *outer = new_epoll(), *inner = new_epoll(), *e = new_eventfd(0);
    struct lx_epoll_event ev[8];
    pthread_t thread;

    assert_int_equal(add(inner, e, 1, WAKE_IN), 0);
    assert_int_equal(add(outer, inner, 2, WAKE_IN), 0);
    assert_int_equal(epoll_wait_events(outer, ev, 8, deadline_after(10000000)), 0);
    pthread_create(&thread, NULL, bump_later, e);
    assert_int_equal(epoll_wait_events(outer, ev, 8, NO_DEADLINE), 1);
    assert_int_equal(ev[0].data, 2);
    pthread_join(thread, NULL);
    file_put(outer);
    file_put(inner);
    file_put(e);
}

static void test_refused(void **state)
{
    struct file *ep = new_epoll(), *e = new_eventfd(0), *ep2 = new_epoll();
    struct lx_epoll_event ev = {WAKE_IN | LX_EPOLLEXCLUSIVE, 1};

    assert_int_equal(epoll_ctl(e, LX_EPOLL_CTL_ADD, 1, ep, &ev), -EINVAL);
    assert_int_equal(mod(ep, e, 1, WAKE_IN), -ENOENT);
    assert_int_equal(add(ep, ep2, 1, WAKE_IN | LX_EPOLLEXCLUSIVE), -EINVAL);
    assert_int_equal(add(ep, e, 1, WAKE_IN | WAKE_PRI | LX_EPOLLEXCLUSIVE), -EINVAL);
    assert_int_equal(add(ep, e, 1, WAKE_IN | LX_EPOLLEXCLUSIVE), 0);
    assert_int_equal(mod(ep, e, 1, WAKE_IN), -EINVAL);
    file_put(e);
    file_put(ep);
    file_put(ep2);
}

static void test_timer(void **state)
{
    struct timerfd_spec spec = {.value_ns = 200000000, .interval_ns = 1000000}, old;
    struct file *ep = new_epoll(), *t;
    struct lx_epoll_event ev[8];
    uint64_t ticks;

    assert_int_equal(timerfd_create_file(1, 04000, &t), 0);
    assert_int_equal(add(ep, t, 1, WAKE_IN), 0);
    assert_int_equal(poll_once(ep, ev), 0);
    assert_int_equal(timerfd_set(t, 0, &spec, &old), 0);
    assert_int_equal(old.value_ns, 0);
    assert_int_equal(unit_read(t, &ticks, 8), -EAGAIN);
    assert_int_equal(epoll_wait_events(ep, ev, 8, deadline_after(1000000000)), 1);
    assert_int_equal(unit_read(t, &ticks, 8), 8);
    assert_true(ticks >= 1);
    usleep(10000);
    assert_int_equal(unit_read(t, &ticks, 8), 8);
    assert_true(ticks >= 8 && ticks < 500);
    spec.value_ns = 0;
    assert_int_equal(timerfd_set(t, 0, &spec, &old), 0);
    assert_int_equal(old.interval_ns, 1000000);
    assert_int_equal(unit_read(t, &ticks, 8), -EAGAIN);
    file_put(t);
    file_put(ep);
}

struct stress {
    struct file *ep, *r, *w;
    atomic_bool stop;
};

static void *stress_waiter(void *arg)
{
    struct stress *s = arg;
    struct lx_epoll_event ev[4];
    char buf[64];

    unit_thread_init();
    while (!atomic_load(&s->stop)) {
        int n = epoll_wait_events(s->ep, ev, 4, deadline_after(1000000));

        assert_true(n >= 0);
        if (n > 0)
            (void)unit_read(s->r, buf, sizeof(buf));
    }
    return NULL;
}

static void *stress_changer(void *arg)
{
    struct stress *s = arg;

    unit_thread_init();
    while (!atomic_load(&s->stop)) {
        (void)mod(s->ep, s->r, 3, WAKE_IN | LX_EPOLLET);
        int ret = epoll_ctl(s->ep, LX_EPOLL_CTL_DEL, 3, s->r, NULL);

        assert_true(ret == 0 || ret == -ENOENT);
        (void)add(s->ep, s->r, 3, WAKE_IN);
    }
    return NULL;
}

static void test_stress(void **state)
{
    struct stress s = {.ep = new_epoll()};
    pthread_t threads[3];

    assert_int_equal(pipe_create(LX_O_NONBLOCK, &s.r, &s.w), 0);
    assert_int_equal(add(s.ep, s.r, 3, WAKE_IN), 0);
    pthread_create(&threads[0], NULL, stress_waiter, &s);
    pthread_create(&threads[1], NULL, stress_waiter, &s);
    pthread_create(&threads[2], NULL, stress_changer, &s);
    for (int i = 0; i < 3000; i++) {
        struct file *e = new_eventfd(1);

        (void)unit_write(s.w, "x", 1);
        assert_int_equal(add(s.ep, e, 100 + i, WAKE_IN), 0);
        file_put(e);
    }
    atomic_store(&s.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    file_put(s.r);
    file_put(s.w);
    assert_int_equal(epoll_item_count(s.ep), 0);
    file_put(s.ep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_level),   cmocka_unit_test(test_edge_and_oneshot),
        cmocka_unit_test(test_nested),  cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_timer),
        cmocka_unit_test(test_stress),
    };

    return cmocka_run_group_tests(tests, unit_fs_setup, NULL);
}
