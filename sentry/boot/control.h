/* SPDX-License-Identifier: Apache-2.0 */
/* The sentry's end of the control protocol (runsc-c/sandbox/control.h): one thread a connection. */
#pragma once

#include "sentry/boot/config.h"
#include "sentry/boot/container.h"

struct control_target {
    struct kcontainer *container; /* borrowed for the sandbox's life */
    struct task *init;            /* +1 */
};

/* Serves the first connection and, if listen_fd >= 0, all that come to it. -errno. */
int control_start(const struct control_target *target, int first_fd, int listen_fd);
/* First message on the launcher's connection: ready, or why not. */
void control_report_ready(int fd);
void control_report_error(int fd, const struct boot_error *e);
/* Tells everybody who waits. Called once, by the main thread, when the first process has ended. */
void control_publish_exit(int wait_status);
