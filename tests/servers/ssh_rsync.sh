#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sshd on loopback: keys, commands, terminals, scp, sftp, port forwarding; rsync over ssh and to its own daemon.
. "$(dirname "$0")/lib"
PATH=$PATH:/usr/sbin
need sshd ssh ssh-keygen rsync socat
[ "$(id -u)" -eq 0 ] || skip "sshd for other users needs root"
unshare -m true 2>/dev/null || skip "no mount namespace"
if [ "${inner:-}" != 1 ]; then # a private /run/sshd
    exec env inner=1 unshare -m --propagation private -- bash -c 'mount -t tmpfs t /run && mkdir -p /run/sshd && exec bash "$0"' "$0"
fi
mkdir -p ssh && chmod 700 ssh
ssh-keygen -q -t ed25519 -N '' -f ssh/host && ssh-keygen -q -t ed25519 -N '' -f ssh/me && cp ssh/me.pub ssh/keys
cat >ssh/sshd_config <<END
Port 7361
ListenAddress 127.0.0.1
ListenAddress ::1
HostKey $PWD/ssh/host
AuthorizedKeysFile $PWD/ssh/keys
StrictModes no
UsePAM no
PermitRootLogin yes
PermitUserEnvironment no
PidFile $PWD/ssh/pid
Subsystem sftp internal-sftp
END
/usr/sbin/sshd -f "$PWD/ssh/sshd_config" -E "$PWD/ssh/log" || cat ssh/log
cat >ssh/config <<END
Host *
Port 7361
IdentityFile $PWD/ssh/me
UserKnownHostsFile $PWD/ssh/known
StrictHostKeyChecking no
LogLevel ERROR
END
s() { ssh -F "$PWD/ssh/config" "$@"; }
wait_until s 127.0.0.1 true
s 127.0.0.1 'echo "hello as $(id -un)"; exit 5'; echo "exit $?"
s ::1 'cat' <<<"over IPv6"
s -tt 127.0.0.1 'stty size >/dev/null && echo terminal; tty | sed "s,[0-9]*\$,N,"' </dev/null 2>/dev/null | tr -d '\r'
s 127.0.0.1 'kill -9 $$'; echo "killed: $?"
head -c 8000000 /dev/zero >big
begin=$(now)
s 127.0.0.1 'cat | md5sum' <big
rate_since ssh/upload "$begin" 8 MB/s
scp -q -F ssh/config big "127.0.0.1:$PWD/big.copy" && cmp big big.copy && echo "scp same"
printf 'put big up\nls -1 up\nrename up down\nchmod 600 down\n' | sftp -q -b - -F ssh/config "127.0.0.1:$PWD" 2>/dev/null | grep -v '^sftp>'
stat -c '%a %s' down
mkdir -p tree/a/b && for i in $(seq 200); do echo "$i" >"tree/a/b/$i"; done && ln -s b/1 tree/a/link && ln tree/a/b/2 tree/hard
begin=$(now)
rsync -aH -e "ssh -F $PWD/ssh/config" tree/ "127.0.0.1:$PWD/mirror/"
rate_since rsync/over-ssh "$begin" 200 files/s
echo more >>tree/a/b/7 && rm tree/a/b/9
rsync -aHi --delete -e "ssh -F $PWD/ssh/config" tree/ "127.0.0.1:$PWD/mirror/"
diff -r tree mirror && stat -c %h mirror/hard
socat TCP-LISTEN:7363,bind=127.0.0.1,reuseaddr,fork EXEC:'echo forwarded' & forward=$!
ssh -F "$PWD/ssh/config" -N -L 7362:127.0.0.1:7363 127.0.0.1 & tunnel=$!
wait_until bash -c '[ "$(cat </dev/tcp/127.0.0.1/7362)" = forwarded ]' && cat </dev/tcp/127.0.0.1/7362
kill $tunnel $forward
printf 'port = 7364\naddress = 127.0.0.1\nuse chroot = no\nuid = root\ngid = root\npid file = %s/rsyncd.pid\n[m]\npath = %s/mirror\nread only = no\n' "$PWD" "$PWD" >rsyncd.conf
rsync --daemon --config="$PWD/rsyncd.conf"
wait_until rsync rsync://127.0.0.1:7364/
rsync -a rsync://127.0.0.1:7364/m/ fetched/ && diff -r mirror fetched && echo "daemon same"
kill "$(cat rsyncd.pid)" "$(cat ssh/pid)"
wait 2>/dev/null
rm -rf ssh tree mirror fetched big big.copy down rsyncd.conf rsyncd.pid
