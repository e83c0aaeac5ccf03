/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands: argv[0] is the command's own name. Each returns an exit code >= 0, or -1 with *e
 * set.
 */
#pragma once

#include "runsc-c/support/err.h"

int cmd_compat(int argc, char **argv, struct err *e);
int cmd_doctor(int argc, char **argv, struct err *e);
int cmd_do(int argc, char **argv, struct err *e);
int cmd_run(int argc, char **argv, struct err *e);
int cmd_spec(int argc, char **argv, struct err *e);
int cmd_state(int argc, char **argv, struct err *e);
int cmd_kill(int argc, char **argv, struct err *e);
int cmd_create(int argc, char **argv, struct err *e);
int cmd_start(int argc, char **argv, struct err *e);
int cmd_exec(int argc, char **argv, struct err *e);
int cmd_pause(int argc, char **argv, struct err *e);
int cmd_resume(int argc, char **argv, struct err *e);
int cmd_wait(int argc, char **argv, struct err *e);
int cmd_events(int argc, char **argv, struct err *e);
int cmd_update(int argc, char **argv, struct err *e);
int cmd_features(int argc, char **argv, struct err *e);
int cmd_ps(int argc, char **argv, struct err *e);
int cmd_delete(int argc, char **argv, struct err *e);
int cmd_list(int argc, char **argv, struct err *e);
int cmd_install(int argc, char **argv, struct err *e);
int cmd_uninstall(int argc, char **argv, struct err *e);
int cmd_syscalls(int argc, char **argv, struct err *e);
