#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A crash leaves a core file that gdb, file and readelf understand.
for tool in gcc gdb file readelf; do command -v $tool >/dev/null || { echo "no $tool" >&2; exit 77; }; done
[ "$(cat /proc/sys/kernel/core_pattern)" = core ] || { echo "core_pattern is not core" >&2; exit 77; }
export HOME=$PWD DEBUGINFOD_URLS=
ulimit -c unlimited || exit 77
cat >crash.c <<'END'
#include <pthread.h>
#include <unistd.h>
int global = 77;
char text[] = "some text";
static void *waits(void *arg)
{
    for (;;)
        pause();
    return arg;
}
static void crash(int n)
{
    if (n)
        crash(n - 1);
    *(volatile int *)16 = global;
}
int main(void)
{
    pthread_t t;

    pthread_create(&t, NULL, waits, NULL);
    usleep(20000);
    crash(3);
}
END
gcc -g -O0 -o crash crash.c -lpthread || exit 77
(exec ./crash a b) 2>/dev/null
echo "exit $?"
clean() { sed -E 's/0x[0-9a-f]{5,}/ADDR/g; s/LWP [0-9]+/LWP N/g'; }
gdb -nx -batch -ex bt -ex 'print global' -ex 'print text' -ex 'print $_siginfo.si_signo' -ex 'print/x $_siginfo._sifields._sigfault.si_addr' \
    -ex 'thread apply all bt' ./crash core 2>&1 | clean |
    grep -E '^#|^\$|^Program term|^Core was' | grep -vE 'clone3|start_thread|pause'
file core | grep -oE "ELF 64-bit LSB core file, x86-64|from '[^']*'" | sed -E "s,'.*/,'," 
readelf -n core 2>/dev/null | grep -oE 'NT_(PRSTATUS|PRPSINFO|SIGINFO|AUXV|FILE|FPREGSET|X86_XSTATE)' | sort | uniq -c
readelf -h core | grep -E 'Type|Machine'
rm -f core crash
