#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Go: go build and go vet of a module, net/http with many goroutines, garbage collection, timers, unix sockets, context ends.
. "$(dirname "$0")/lib"
PATH=$PATH:/usr/local/go/bin
need go
# Kept between runs: compiling the standard library natively is not what is tested.
export GOCACHE=/tmp/runsc-c-test-gocache GOFLAGS=-mod=mod GOPATH=$PWD/gopath GOTOOLCHAIN=local GOTELEMETRY=off
mkdir -p m/inner && cd m || exit 1
printf 'module example.org/m\n\ngo 1.18\n' >go.mod
printf 'package inner\n\nfunc Double(x int) int { return 2 * x }\n' >inner/inner.go
printf 'package inner\n\nimport "testing"\n\nfunc TestDouble(t *testing.T) {\n\tif Double(4) != 8 {\n\t\tt.Fatal()\n\t}\n}\n' >inner/inner_test.go
cat >main.go <<'END'
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"example.org/m/inner"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello %s", r.URL.Path) })
	mux.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) { n, _ := io.Copy(io.Discard, r.Body); fmt.Fprint(w, n) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	srv := &http.Server{Handler: mux}
	go srv.Serve(l)
	base := "http://" + l.Addr().String()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, MaxConnsPerHost: 32}}
	var good int64
	var wg sync.WaitGroup
	begin := time.Now()
	for i := 0; i < 32; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for j := 0; j < 50; j++ {
				want := fmt.Sprintf("/%d/%d", i, j)
				r, err := client.Get(base + want)
				if err != nil {
					fmt.Println(err)
					continue
				}
				b, _ := io.ReadAll(r.Body)
				r.Body.Close()
				if string(b) == "hello "+want {
					atomic.AddInt64(&good, 1)
				}
			}
		}(i)
	}
	wg.Wait()
	fmt.Fprintf(os.Stderr, "rate: go/http %.0f req/s\n", 1600/time.Since(begin).Seconds())
	fmt.Println("good", good, inner.Double(21))
	rd, wr := io.Pipe()
	go func() { for i := 0; i < 100; i++ { wr.Write(make([]byte, 30000)) }; wr.Close() }()
	r, err := client.Post(base+"/sum", "x/y", rd)
	if err != nil {
		panic(err)
	}
	b, _ := io.ReadAll(r.Body)
	fmt.Println("posted", string(b))
	u, err := net.Listen("unix", "go.sock")
	if err != nil {
		panic(err)
	}
	go func() { c, _ := u.Accept(); io.Copy(c, c); c.(*net.UnixConn).CloseWrite() }()
	c, err := net.Dial("unix", "go.sock")
	if err != nil {
		panic(err)
	}
	go func() { c.Write(make([]byte, 1<<20)); c.(*net.UnixConn).CloseWrite() }()
	b, _ = io.ReadAll(c)
	fmt.Println("unix", len(b))
	u.Close()
	keep := make([][]byte, 0)
	for i := 0; i < 2000; i++ {
		x := make([]byte, 20000)
		if i%100 == 0 {
			keep = append(keep, x)
		}
	}
	runtime.GC()
	fmt.Println("kept", len(keep))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://127.0.0.1:1/", nil)
	_, err = client.Do(req)
	fmt.Println("refused", err != nil)
	tick := time.NewTicker(2 * time.Millisecond)
	for i := 0; i < 10; i++ {
		<-tick.C
	}
	cl, err := net.Dial("tcp", l.Addr().String())
	cl.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err = cl.Read(make([]byte, 1))
	fmt.Println("deadline", os.IsTimeout(err))
	cl.Close()
	fmt.Println("shutdown", srv.Shutdown(context.Background()))
}
END
begin=$(now)
go build -o prog . && go vet ./... && echo built
go test ./inner 2>&1 | grep -o '^ok'
rate_since go/build-vet-test "$begin" 60 per-minute
./prog
status=$?
cd ..
chmod -R u+w gopath 2>/dev/null
rm -rf m gopath .config .cache
exit $status
