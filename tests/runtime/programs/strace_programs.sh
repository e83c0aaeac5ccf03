#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# strace: what it says about programs, its filters and counts; with children, threads, signals, attach, seccomp-bpf.
for tool in strace python3 perl; do command -v $tool >/dev/null || { echo "no $tool" >&2; exit 77; }; done
export LC_ALL=C
echo hello >file
names() { sed -E 's/^\[pid +[0-9]+\] //; s/^[0-9]+ +//' | grep -oE '^[a-z_0-9]+\(' | sort | uniq -c | sed 's/^ *//'; }
strace -o t1 -e trace=openat,read,write,close cat file
grep -E 'file|hello' t1 | sed -E 's/\(AT_FDCWD/(/; s/= [0-9]$/= FD/; s/\([0-9],/(FD,/; s/e\([0-9]\)/e(FD)/'
echo "exit $?"
strace -f -o t2 -e trace=process,signal sh -c '(exit 3); kill -TERM $$'
echo "exit $?"
names <t2
grep -oE 'exited with [0-9]+|killed by [A-Z]+' t2 | sort
strace -f -o t3 -e trace=execve perl -e 'print `echo one`, `echo two`; exit 4'
echo "exit $?"
grep -oE 'exited with [0-9]+' t3 | sort
strace -ff -o t4 -e trace=exit,futex python3 -c '
import threading
r = []
ts = [threading.Thread(target=r.append, args=(i,)) for i in range(5)]
[t.start() for t in ts]; [t.join() for t in ts]
print(sorted(r))'
ls t4.* | wc -l
cat t4.* | grep -c 'exited with 0'
strace -f --seccomp-bpf -o t5 -e trace=chdir sh -c 'cd /; cd /usr; (cd /etc)'
grep -oE 'chdir\("[^"]*"\) += 0' t5 | sort
strace -o t6 -e inject=getppid:retval=77 perl -e 'print getppid(), "\n"'
strace -o t7 -e inject=unlink,unlinkat:error=EACCES rm -f file 2>err
cat err; ls file
sleep 5 &
pid=$!
timeout 20 strace -o t8 -p $pid 2>/dev/null &
spid=$!
for _ in $(seq 200); do grep -q "TracerPid:[[:space:]]*[1-9]" /proc/$pid/status && break; sleep 0.02; done
kill -USR1 $pid
wait $pid
echo "exit $?"
wait $spid
grep -oE 'SIGUSR1 \{si_signo=SIGUSR1, si_code=SI_USER|killed by SIGUSR1' t8
strace -c -o t9 -e trace=all true
grep -cE 'execve|mmap|total' t9
rm -f t? t4.* err file
