#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gdb -batch: breakpoints, steps, threads, software watchpoints, a function call, attach and detach, a core file.
for tool in gcc gdb; do command -v $tool >/dev/null || { echo "no $tool" >&2; exit 77; }; done
set -e
export HOME=$PWD DEBUGINFOD_URLS=
cat >prog.c <<'END'
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int counter;
double number = 1.25;
static int fact(int n)
{
    return n < 2 ? 1 : n * fact(n - 1);
}
static void *worker(void *arg)
{
    for (int i = 0; i < 3; i++)
        counter += 2;
    return arg;
}
static void count(void)
{
    for (int i = 0; i < 3; i++)
        counter += i;
}
int main(int argc, char **argv)
{
    pthread_t t;
    int x;

    if (argc > 1 && argv[1][0] == 'l') {
        puts("ready");
        fflush(stdout);
        while (!counter)
            usleep(1000);
        return counter;
    }
    x = fact(5);
    printf("fact %d\n", x);
    fflush(stdout);
    count();
    pthread_create(&t, NULL, worker, NULL);
    pthread_join(t, NULL);
    printf("counter %d\n", counter);
    fflush(stdout);
    if (argc > 1)
        raise(SIGUSR1);
    return 0;
}
END
gcc -g -O0 -o prog prog.c -lpthread
# Addresses and ids differ from run to run.
clean() { sed -E 's/0x[0-9a-f]+/ADDR/g; s/LWP [0-9]+/LWP N/g; s/process [0-9]+/process N/g; s/Thread ADDR/Thread/g' | grep -vE '^warning:|debuginfod|^Using host|^\[Thread debugging|^Download|No such file'; }
cat >session.gdb <<'END'
set pagination off
set confirm off
set width 0
set can-use-hw-watchpoints 0
break fact if n == 2
run
bt
print n
print $rsp != 0
print number * 2
step
print n
finish
next
delete
print fact(6)
break count
continue
watch counter
continue
continue
info watchpoints
delete
break worker
continue
thread name
bt 1
delete
continue
END
echo "== session"
# The program's own output comes when it likes. "New process": gdb takes the first thread out when it sees it dead before its last other
# thread has been reported, and adds it again when its end arrives; on Linux that is a matter of moments too.
gdb -nx -batch -x session.gdb ./prog 2>&1 | clean | grep -vE 'New Thread|New process|exited\]|Switching|^fact [0-9]+$|^counter [0-9]+$|^(_*libc|\[?The program)'
./prog
echo "== signal"
gdb -nx -batch -ex 'handle SIGUSR1 stop print' -ex run -ex 'p $_siginfo.si_signo' -ex 'signal 0' --args ./prog sig 2>&1 |
    clean | grep -E 'SIGUSR1|^\$1|exited normally'
echo "== attach"
./prog loop >out &
pid=$!
while ! grep -q ready out; do sleep 0.02; done
gdb -nx -batch -p $pid -ex 'up' -ex 'bt' -ex 'print counter' -ex 'print counter = 7' -ex 'info threads' -ex detach 2>&1 |
    clean | grep -E 'in main|^\$|Detach|detached' | sed -E 's/^#[0-9]+ //'
wait $pid || echo "exit $?"
echo "== core"
gdb -nx -batch -ex 'break worker' -ex run -ex 'generate-core-file gen.core' -ex kill ./prog 2>&1 | grep -E '^Saved' | clean
gdb -nx -batch -ex 'bt 1' -ex 'print counter' -ex 'thread apply all -q bt 1' ./prog gen.core 2>&1 | clean | grep -E '^\$1|#0 .*worker'
echo "== catch"
gdb -nx -batch -ex 'catch syscall write' -ex run -ex 'p $orig_rax' -ex continue -ex 'p $rax' -ex 'info registers eflags' ./prog 2>&1 |
    clean | grep -E '^\$|Catchpoint|write' | head -8
rm -f prog gen.core out
