#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# git: init, add, commit, branch, merge, log, gc, fsck, clone on a real tree.
command -v git >/dev/null || { echo "no git" >&2; exit 77; }
set -e
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
git config --global user.name t; git config --global user.email t@example.com
git config --global init.defaultBranch main; git config --global gc.auto 0
mkdir r; cd r
git init -q
cp -rL /usr/share/common-licenses /usr/share/perl5 . 2>/dev/null || true
git add .
git commit -q -m one
git rev-parse HEAD
git ls-files | wc -l
git checkout -q -b side; echo x >x; git add x; git commit -q -m two
git checkout -q main; echo y >y; git add y; git commit -q -m three
git merge -q -m merge side
git log --oneline --graph
git gc -q --prune=now
git fsck --full 2>&1 | grep -v dangling || true
git count-objects -v | grep -E '^(count|in-pack|packs)'
git clone -q . ../c
cd ../c; git log --format=%H | md5sum; git status --short; git grep -c Copyright -- common-licenses | head -3
git archive HEAD | tar t | wc -l
cd ..; rm -rf r c .gitconfig
