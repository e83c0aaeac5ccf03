#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# git: a repository of some hundred commits; clones by path, by file://, by the git:// daemon; fetch, gc, fsck, rebase, bisect, worktrees.
. "$(dirname "$0")/lib"
need git
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git init -q src && cd src || exit 1
begin=$(now)
for i in $(seq 40); do
    for f in 1 2 3; do seq "$i" "$((i * 20 + f))" >"f$f.txt"; done
    mkdir -p "d$((i % 5))" && echo "$i" >"d$((i % 5))/n$i"
    git add -A && git commit -q -m "commit $i"
done
rate_since git/commit "$begin" 40 commits/s
git tag -a -m release v1
git checkout -q -b side HEAD~10 && echo side >side.txt && git add . && git commit -q -m side
git checkout -q main
cd .. || exit 1
begin=$(now)
git clone -q src by-path
git clone -q "file://$PWD/src" by-file
git clone -q --depth 5 "file://$PWD/src" shallow
rate_since git/clone "$begin" 3 clones/s
git daemon --export-all --base-path="$PWD" --reuseaddr --listen=127.0.0.1 --port=7351 --pid-file="$PWD/daemon.pid" --detach
wait_until git ls-remote git://127.0.0.1:7351/src
git clone -q git://127.0.0.1:7351/src by-daemon
for c in by-path by-file shallow by-daemon; do
    echo "$c $(git -C $c rev-parse HEAD) $(git -C $c rev-list --count HEAD) $(git -C $c status --short | wc -l)"
done
git -C src commit -q --allow-empty -m more
git -C by-daemon pull -q && git -C by-daemon log -1 --format=%s
kill "$(cat daemon.pid)"
cd by-path || exit 1
git checkout -q -b rebased origin/side && git rebase -q main 2>/dev/null && git log --oneline | wc -l
git bisect start -q main v1~39 >/dev/null && git bisect run sh -c 'test "$(cat f1.txt | wc -l)" -lt 400' 2>&1 | grep -c 'is the first bad commit'
git bisect reset -q
git worktree add -q ../tree side 2>/dev/null || git worktree add -q ../tree origin/side
cat ../tree/side.txt
git stash list | wc -l
git repack -q -a -d -f --depth=20 && git gc -q --prune=now && git fsck --full 2>&1 | grep -vc dangling
git archive main | tar -t | wc -l
git grep -c '^7$' main | wc -l
cd .. && rm -rf src by-path by-file shallow by-daemon tree daemon.pid .gitconfig
