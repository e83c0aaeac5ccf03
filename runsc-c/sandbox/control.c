/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/sandbox/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int control_send(int fd, const json_t *msg, const int *fds, int fd_count, struct err *e)
{
    char *text = json_dumps(msg, JSON_COMPACT);
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov;
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;

    if (!text)
        return err_errno(e, ENOMEM, "control message");
    iov = (struct iovec){text, strlen(text)};
    if (fd_count > 0) {
        struct cmsghdr *c;

        memset(&control, 0, sizeof(control));
        mh.msg_control = &control;
        mh.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
        c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, (size_t)fd_count * sizeof(int));
    }
    do {
        sent = sendmsg(fd, &mh, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    free(text);
    return sent < 0 ? err_errno(e, errno, "the sandbox does not answer") : 0;
}

json_t *control_receive(int fd, struct err *e)
{
    char *buf = malloc(CONTROL_MESSAGE_MAX);
    json_t *msg = NULL;
    const char *error;
    ssize_t n;

    if (!buf) {
        (void)err_errno(e, ENOMEM, "control message");
        return NULL;
    }
    do {
        n = recv(fd, buf, CONTROL_MESSAGE_MAX, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        msg = json_loadb(buf, (size_t)n, 0, NULL);
    free(buf);
    if (!msg) {
        (void)err_set(e, n < 0 && errno == EAGAIN ? "no answer from the sandbox"
                                                  : "the sandbox ended unexpectedly; --debug "
                                                    "--log FILE tells more");
        return NULL;
    }
    error = json_string_value(json_object_get(msg, "error"));
    if (error) {
        const json_t *code = json_object_get(msg, "exit_code");

        if (code)
            e->exit_code = (int)json_integer_value(code);
        (void)err_set(e, "%s", error);
        json_decref(msg);
        return NULL;
    }
    return msg;
}

json_t *control_call(int fd, json_t *request, struct err *e)
{
    int ret = control_send(fd, request, NULL, 0, e);

    json_decref(request);
    return ret < 0 ? NULL : control_receive(fd, e);
}
