#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs that change identity: su, sudo, setpriv, runuser, newgrp, a set-user-id binary, file capabilities; what unshare makes.
for tool in su sudo setpriv runuser gcc unshare script; do command -v $tool >/dev/null || { echo "no $tool" >&2; exit 77; }; done
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 77; }
export LC_ALL=C TERM=xterm
su nobody -s /bin/sh -c 'id; echo $HOME'
su -c id
su nobody -s /bin/sh -c 'su -c id' </dev/null 2>&1 | tail -1
sudo -n id 2>/dev/null
sudo -n -u nobody sh -c 'id -un; echo $SUDO_USER' 2>/dev/null
runuser -u nobody -- id -u
setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all sh -c 'id -u; grep -E "CapEff|Groups|NoNewPrivs" /proc/self/status'
setpriv --no-new-privs sh -c 'grep NoNewPrivs /proc/self/status'
cat >who.c <<'END'
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(void)
{
    uid_t r, e, s;
    getresuid(&r, &e, &s);
    printf("%u %u %u dumpable %d\n", r, e, s, prctl(PR_GET_DUMPABLE));
    return 0;
}
END
gcc -o who who.c && chmod 4755 who && chmod 755 .
su nobody -s /bin/sh -c ./who
su nobody -s /bin/sh -c 'setpriv --no-new-privs ./who'
script -qec 'tty >/dev/null && echo terminal; stty size; id -u' /dev/null </dev/null | tr -d '\r'
unshare -r id -u
unshare -Urpf --mount-proc sh -c 'echo $$; ps ax -o pid= | wc -l'
unshare -u sh -c 'hostname inside; hostname'
unshare -m sh -c 'mount -t tmpfs none /mnt && echo x >/mnt/x && ls /mnt'
ls /mnt | wc -l
rm -f who who.c
