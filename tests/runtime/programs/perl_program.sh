#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# perl: hashes, sorting, pipes to children, signals, sockets to itself, file tests.
command -v perl >/dev/null || { echo "no perl" >&2; exit 77; }
perl -MIO::Socket::INET -MFile::Find -MDigest::MD5=md5_hex -MTime::HiRes=sleep -we '
    $| = 1;
    my %h = map { $_ => length } glob("/usr/share/common-licenses/*");
    print "$_ $h{$_}\n" for sort keys %h;
    open(my $p, "-|", "sort", "-n", "/dev/fd/0") or die; close $p;
    open(my $o, "|-", "cat -n") or die; print $o "a\nb\n"; close $o;
    local $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; select(undef, undef, undef, 5); 
    local $SIG{CHLD} = sub { print "child\n" }; my $k = fork; exit 3 if !$k; sleep 0.2; waitpid($k, 0); print $? >> 8, "\n";
    my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", Proto => "tcp") or die "listen: $!";
    if (!fork) { my $c = IO::Socket::INET->new("127.0.0.1:" . $s->sockport) or die "connect: $!"; print $c "hello\n"; print scalar <$c>; exit; }
    my $c = $s->accept; my $l = <$c>; print $c uc $l; close $c; wait;
    my $n = 0; find(sub { $n++ if -f }, "/usr/share/common-licenses"); print "$n files\n";
    print md5_hex("x" x 100000), "\n";
    print join(",", (stat "/etc/passwd")[2, 4, 5]), "\n";
    open(my $f, "+>", "data") or die; print $f "0123456789"; seek($f, 3, 0); read($f, my $b, 4); print "$b\n"; truncate($f, 5); close $f; print -s "data", "\n";
'
