#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dpkg and apt-get: a package is built, installed from a local repository with its dependency, upgraded, diverted, purged. In a
# root of its own (--root, so that the native run leaves the host alone), maintainer scripts included.
. "$(dirname "$0")/../../servers/lib"
need dpkg dpkg-deb apt-get dpkg-scanpackages
[ "$(id -u)" -eq 0 ] || skip "chroot for maintainer scripts needs root"
mkpkg() { # NAME VERSION DEPENDS
    local d=build/$1-$2
    mkdir -p "$d/DEBIAN" "$d/usr/bin" "$d/etc/$1" "$d/usr/share/doc/$1"
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: a <a@b>\nDepends: %s\nDescription: test\n' "$1" "$2" "$3" >"$d/DEBIAN/control"
    [ -n "$3" ] || sed -i '/^Depends/d' "$d/DEBIAN/control"
    printf '#!/bin/sh\necho %s %s\n' "$1" "$2" >"$d/usr/bin/$1"
    chmod 755 "$d/usr/bin/$1"
    echo "conf $2" >"$d/etc/$1/conf"
    echo "/etc/$1/conf" >"$d/DEBIAN/conffiles"
    seq 500 >"$d/usr/share/doc/$1/many"
    for s in preinst postinst prerm postrm; do
        printf '#!/bin/sh\nset -e\necho "%s-%s %s $*" >>/scripts.log\nexit 0\n' "$1" "$2" $s >"$d/DEBIAN/$s"
        chmod 755 "$d/DEBIAN/$s"
    done
    dpkg-deb --root-owner-group -b "$d" repo/ >/dev/null
}
mkdir -p repo root/{bin,dev,usr/bin,tmp,etc/apt,var/lib/dpkg/{info,updates,triggers},var/lib/apt/lists/partial,var/cache/apt/archives/partial,var/log/apt}
mkpkg lib-t 1.0 ""
mkpkg tool-t 1.0 "lib-t (>= 1.0)"
mkpkg tool-t 2.0 "lib-t (>= 1.0)"
(cd repo && dpkg-scanpackages -m . >Packages 2>/dev/null)
touch root/var/lib/dpkg/{status,available}
for b in sh dash; do # what the scripts need inside the root
    path=$(command -v $b)
    cp -L "$path" root/bin/$b
    for l in $(ldd "$path" | grep -o '/[^ ]*'); do mkdir -p "root$(dirname "$l")" && cp -L "$l" "root$l"; done
done
mknod -m 666 root/dev/null c 1 3 2>/dev/null || : >root/dev/null
cat >apt.conf <<END
Dir "$PWD/root/";
Dir::Etc::sourcelist "$PWD/sources.list"; Dir::Etc::sourceparts "-"; Dir::Etc::parts "-"; Dir::State::status "$PWD/root/var/lib/dpkg/status";
Dir::Bin::dpkg "/usr/bin/dpkg"; Dir::Bin::methods "/usr/lib/apt/methods"; DPkg::Options { "--root=$PWD/root"; "--force-not-root"; "--force-script-chrootless=no"; };
DPkg::Options { "--root=$PWD/root"; }; APT::Sandbox::User "root"; APT::Architecture "amd64"; Acquire::Languages "none"; DPkg::Use-Pty "false"; Dpkg::Lock::Timeout "5";
END
sed -i 's/ "--force-not-root"; "--force-script-chrootless=no";//; s/^DPkg::Options { "--root=[^;]*"; }; APT/APT/' apt.conf
echo "deb [trusted=yes] file://$PWD/repo ./" >sources.list
export APT_CONFIG=$PWD/apt.conf DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/sbin:$PATH
apt() { apt-get -qq -y -o Debug::NoLocking=true "$@" >>apt.log 2>&1 || { echo "apt-get $*: failed"; tail -20 apt.log >&2; }; }
state() { dpkg --root="$PWD/root" -l '*-t' 2>/dev/null | awk '/^..  / {print $1, $2, $3}'; }
begin=$(now)
apt update
apt-cache policy tool-t | sed -n '2,3p'
apt install tool-t=1.0
state
chroot root /usr/bin/tool-t
echo changed >root/etc/tool-t/conf
apt -o Dpkg::Options::=--force-confold install tool-t=2.0
state
cat root/etc/tool-t/conf
chroot root /usr/bin/tool-t
dpkg --root="$PWD/root" --verify tool-t
dpkg --root="$PWD/root" -S /usr/share/doc/tool-t/many
apt purge tool-t
apt autoremove
state
dpkg --root="$PWD/root" -i repo/tool-t_1.0_all.deb >/dev/null 2>&1; echo "dpkg -i: $?"
apt -f install
state
rate_since dpkg/all "$begin" 60 per-minute
grep -v '^tool-t-1.0 prerm failed' root/scripts.log
ls root/etc root/usr/bin
rm -rf repo root build apt.log apt.conf sources.list
