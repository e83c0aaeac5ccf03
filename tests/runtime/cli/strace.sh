#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --strace: lines as strace -f writes them, and JSON that parses.
. "$(dirname "$0")/../lib.sh"

has() { # FILE FIXED-TEXT
    grep -qF -- "$2" "$1" || { tail -50 "$1" >&2; fail "no \"$2\" in the trace"; }
}

runsc --strace="$work/t" do -- /bin/cat /etc/passwd >/dev/null || fail "cat"
[ "$(head -c 50 "$work/t")" = 'execve("/bin/cat", ["/bin/cat", "/etc/passwd"], [/' ] || fail "no execve line first"
has "$work/t" 'openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 3'
has "$work/t" 'access("/etc/ld.so.preload", R_OK)      = -1 ENOENT (No such file or directory)'
has "$work/t" '{st_mode=S_IFREG|0644, st_size='
has "$work/t" 'PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x'
has "$work/t" 'prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur='
has "$work/t" 'exit_group(0)                           = ?'
has "$work/t" '+++ exited with 0 +++'
grep -qE 'read\(3, "root:x:0:0:.*"\.\.\., [0-9]+\) = [0-9]+' "$work/t" || fail "no read of the file"

runsc --strace="$work/t" do -- /bin/sh -c '(sleep 0.2; exit 3) & trap : USR1; kill -USR1 $$; wait' || fail "sh"
has "$work/t" 'CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID'
has "$work/t" '--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid='
has "$work/t" '--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid='
has "$work/t" '<unfinished ...>'
grep -qE '^\[pid +[0-9]+\] <\.\.\. wait4 resumed>.* = ' "$work/t" || fail "no resumed wait4"
grep -qE '= \? ERESTART(SYS \(To be restarted if SA_RESTART is set|NOHAND \(To be restarted if no handler)\)' "$work/t" ||
    fail "no interrupted call"
has "$work/t" '+++ exited with 3 +++'

# Pointers to nowhere are shown as they are.
cat >"$work/wild.c" <<'END'
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
    syscall(SYS_openat, -100, 0x1000, 0);
    syscall(SYS_writev, 1, 0x2000, 3);
    syscall(SYS_rt_sigaction, 10, 0x3000, 0, 8);
    syscall(SYS_poll, 0x4000, 100000, 0);
    syscall(SYS_execve, 0x5000, 0x6000, -1);
    syscall(SYS_sendmsg, 1, -8L, 0);
    syscall(5000, 1, 2, 3);
    syscall(SYS_ioctl, 0, 0x5401, 0x7000);
    return 0;
}
END
gcc -w -o "$work/wild" "$work/wild.c" || fail "gcc"
runsc --strace="$work/t" do -- "$work/wild" </dev/null || fail "wild"
has "$work/t" 'openat(AT_FDCWD, 0x1000, O_RDONLY)      = -1 EFAULT (Bad address)'
has "$work/t" 'rt_sigaction(SIGUSR1, 0x3000, NULL, 8)  = -1 EFAULT (Bad address)'
has "$work/t" 'syscall_0x1388(0x1, 0x2, 0x3'
has "$work/t" 'ioctl(0, TCGETS, 0x7000)                = -1 ENOTTY (Inappropriate ioctl for device)'

runsc --strace="$work/j" --strace-format=json do -- /bin/sh -c 'echo "a\"b" | cat; exit 5'
[ $? -eq 5 ] || fail "exit code under --strace"
jq -e . "$work/j" >/dev/null || fail "the JSON trace does not parse"
jq -se 'any(.[]; .call == "openat" and .args.pathname == "\"/etc/ld.so.cache\"" and .ret >= 0)' "$work/j" >/dev/null ||
    fail "no openat in the JSON trace"
jq -se '.[0].call == "execve" and .[0].ret == 0' "$work/j" >/dev/null || fail "no execve first in the JSON trace"
jq -se 'any(.[]; .errno == "ENOENT") and any(.[]; .signal == "SIGCHLD") and any(.[]; .end == "exited with 5")' \
    "$work/j" >/dev/null || fail "no error, signal or end in the JSON trace"
