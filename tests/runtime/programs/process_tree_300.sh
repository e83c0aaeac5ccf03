#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# 300 processes alive at once, all waited for.
command -v perl >/dev/null || { echo "no perl" >&2; exit 77; }
perl -e '
    pipe(my $r, my $w);
    my %kids;
    for my $i (1 .. 300) {
        my $pid = fork() // die "fork: $!";
        if (!$pid) { close $w; sysread($r, my $b, 1); exit($i % 100); }
        $kids{$pid} = $i % 100;
    }
    print scalar(keys %kids), " alive\n";
    close $r; close $w;
    my $ok = 0;
    while ((my $pid = wait()) > 0) { $ok++ if ($? >> 8) == $kids{$pid}; }
    print "$ok right\n";
    # A chain: each starts the next, the last one reports through all.
    sub chain { my $n = shift; return 0 if !$n; my $p = fork() // die; if (!$p) { exit(chain($n - 1) == 0 ? 0 : 1) } waitpid($p, 0); return $?; }
    print "chain ", chain(100), "\n";
'
