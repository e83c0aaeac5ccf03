#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# java: javac, threads with a lot of garbage, executors, NIO selector server, file channels and maps, child processes, timers.
. "$(dirname "$0")/lib"
need java javac
cat >Work.java <<'END'
import java.io.*; import java.net.*; import java.nio.*; import java.nio.channels.*; import java.nio.file.*;
import java.util.*; import java.util.concurrent.*; import java.util.concurrent.atomic.*; import java.util.stream.*;
public class Work {
    static void threads() throws Exception {
        var pool = Executors.newFixedThreadPool(16); var sum = new LongAdder();
        var all = new ArrayList<Future<?>>();
        for (int i = 0; i < 64; i++) { final int k = i; all.add(pool.submit(() -> {
            var m = new HashMap<Integer, String>();
            for (int j = 0; j < 4000; j++) m.put(j, "value " + j * k);
            sum.add(m.values().stream().mapToInt(String::length).sum()); })); }
        for (var f : all) f.get();
        pool.shutdown(); System.out.println("threads " + pool.awaitTermination(10, TimeUnit.SECONDS) + " " + sum.sum());
        System.gc();
        System.out.println("parallel " + IntStream.range(0, 1000000).parallel().filter(x -> x % 3 == 0).count());
    }
    static void locks() throws Exception {
        var q = new ArrayBlockingQueue<Integer>(4); long[] got = {0};
        var c = new Thread(() -> { try { for (int v; (v = q.take()) >= 0; ) got[0] += v; } catch (InterruptedException e) { } }); c.start();
        for (int i = 0; i < 5000; i++) q.put(i);
        q.put(-1); c.join(); System.out.println("queue " + got[0]);
        var t = new Thread(() -> { try { Thread.sleep(60000); } catch (InterruptedException e) { System.out.println("interrupted"); } });
        t.start(); Thread.sleep(50); t.interrupt(); t.join();
    }
    static void nio() throws Exception {
        var server = ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0)); server.configureBlocking(false);
        var sel = Selector.open(); server.register(sel, SelectionKey.OP_ACCEPT);
        var t = new Thread(() -> { try { var buf = ByteBuffer.allocate(8192); int open = 0, ended = 0;
            while (ended < 20) { sel.select(); for (var it = sel.selectedKeys().iterator(); it.hasNext(); ) { var k = it.next(); it.remove();
                if (k.isAcceptable()) { var c = server.accept(); if (c != null) { c.configureBlocking(false); c.register(sel, SelectionKey.OP_READ); open++; } }
                else { var c = (SocketChannel) k.channel(); buf.clear(); if (c.read(buf) < 0) { c.close(); ended++; } else { buf.flip(); while (buf.hasRemaining()) c.write(buf); } } } }
            System.out.println("server saw " + open); } catch (IOException e) { e.printStackTrace(); } }); t.start();
        int port = ((InetSocketAddress) server.getLocalAddress()).getPort(); long bytes = 0; long begin = System.nanoTime();
        for (int i = 0; i < 20; i++) try (var s = new Socket("127.0.0.1", port)) { s.setTcpNoDelay(true);
            var b = new byte[1000]; for (int j = 0; j < 50; j++) { s.getOutputStream().write(b); bytes += s.getInputStream().readNBytes(1000).length; } }
        System.err.printf("rate: java/nio-echo %.0f round-trips/s%n", 1000 / ((System.nanoTime() - begin) / 1e9));
        t.join(); System.out.println("echoed " + bytes);
    }
    static void files() throws Exception {
        var p = Path.of("data");
        try (var ch = FileChannel.open(p, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            var m = ch.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20); for (int i = 0; i < 1 << 20; i += 4096) m.put(i, (byte) i); m.force();
            try (var l = ch.tryLock()) { System.out.println("locked " + l.isValid()); }
            try (var o = FileChannel.open(Path.of("copy"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) { System.out.println("transferred " + ch.transferTo(0, ch.size(), o)); } }
        System.out.println(Files.mismatch(p, Path.of("copy")) + " " + Files.size(p));
        try (var w = FileSystems.getDefault().newWatchService()) { Path.of(".").register(w, StandardWatchEventKinds.ENTRY_CREATE);
            Files.writeString(Path.of("seen"), "x"); System.out.println("watch " + w.poll(20, TimeUnit.SECONDS).pollEvents().get(0).context()); }
        var pr = new ProcessBuilder("sh", "-c", "read x; echo child $x; exit 3").redirectErrorStream(true).start();
        pr.getOutputStream().write("says\n".getBytes()); pr.getOutputStream().close();
        System.out.print(new String(pr.getInputStream().readAllBytes())); System.out.println(pr.waitFor());
    }
    public static void main(String[] a) throws Exception { threads(); locks(); nio(); files();
        try { Object o = null; o.hashCode(); } catch (NullPointerException e) { System.out.println("null pointer caught"); }
        try { deep(0); } catch (StackOverflowError e) { System.out.println("stack overflow caught"); }
        try { var l = new ArrayList<byte[]>(); while (true) l.add(new byte[4 << 20]); } catch (OutOfMemoryError e) { System.out.println("out of memory caught"); }
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook"))); System.exit(4); }
    static int deep(int n) { return deep(n + 1) + 1; }
}
END
begin=$(now)
javac Work.java || exit 1
rate_since java/javac "$begin" 60 per-minute
for gc in Serial Parallel G1; do
    echo "== $gc"
    begin=$(now)
    java -Xmx96m -XX:+Use${gc}GC -Xshare:auto -cp . Work
    echo "exit $?"
    rate_since "java/run-$gc" "$begin" 60 per-minute
    rm -f data copy seen
done
rm -f ./*.class
