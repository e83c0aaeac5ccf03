/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry process: configuration, isolation, order of initialisation, the container's mounts and
 * first process, the control socket. See boot/README.md.
 */
#pragma once

/* Runs the sentry with the configuration in config_fd (JSON, written by runsc-c/sandbox/launch.c).
 * Returns the process's exit code. */
int sentry_main(int config_fd);
