#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A Go program: goroutines, channels, timers, files, pipes to children, TCP to itself, signals.
PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || { echo "no go" >&2; exit 77; }
# Kept between runs: compiling the standard library is not what is tested.
export GOCACHE=/tmp/runsc-c-test-gocache GOFLAGS=-mod=mod GOPATH=$PWD/gopath GOTOOLCHAIN=local
cat >m.go <<'END'
package main

import ("fmt"; "io"; "net"; "os"; "os/exec"; "os/signal"; "sync"; "syscall"; "time"; "runtime")

func main() {
	var wg sync.WaitGroup; var mu sync.Mutex; n := 0
	for i := 0; i < 100; i++ { wg.Add(1); go func() { defer wg.Done(); for k := 0; k < 100; k++ { mu.Lock(); n++; mu.Unlock(); runtime.Gosched() } }() }
	wg.Wait(); fmt.Println(n)
	l, err := net.Listen("tcp", "127.0.0.1:0"); if err != nil { panic(err) }
	go func() { c, _ := l.Accept(); io.Copy(c, c); c.Close() }()
	c, err := net.Dial("tcp", l.Addr().String()); if err != nil { panic(err) }
	c.Write([]byte("ping")); c.(*net.TCPConn).CloseWrite(); b, _ := io.ReadAll(c); fmt.Println(string(b))
	out, err := exec.Command("sh", "-c", "echo child; exit 0").Output(); fmt.Print(string(out), err, "\n")
	ch := make(chan os.Signal, 1); signal.Notify(ch, syscall.SIGUSR1); syscall.Kill(os.Getpid(), syscall.SIGUSR1); fmt.Println(<-ch)
	select { case <-time.After(20 * time.Millisecond): fmt.Println("timer") }
	os.WriteFile("f", []byte("data"), 0644); d, _ := os.ReadFile("f"); fmt.Println(string(d))
	runtime.GC(); fmt.Println(runtime.GOOS, runtime.GOARCH)
}
END
go build -o prog m.go && ./prog
status=$?
chmod -R u+w gopath 2>/dev/null; rm -rf gopath prog .config
exit $status
