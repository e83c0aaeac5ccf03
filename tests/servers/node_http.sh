#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# node: an HTTP server in a cluster of two, a keep-alive client, streams through gzip, and ab's load.
. "$(dirname "$0")/lib"
need node ab
cat >server.js <<'END'
const cluster = require("cluster"), http = require("http"), zlib = require("zlib");
if (cluster.isPrimary) {
  let up = 0;
  for (let i = 0; i < 2; i++) cluster.fork();
  cluster.on("listening", () => { if (++up == 2) console.log("listening"); });
  process.on("SIGTERM", () => cluster.disconnect(() => process.exit(0)));
} else {
  const server = http.createServer((q, r) => {
    if (q.url == "/zip") { r.setHeader("Content-Encoding", "gzip"); zlib.gzip(Buffer.alloc(500000, "z"), (e, b) => r.end(b)); }
    else if (q.method == "POST") { let n = 0; q.on("data", (d) => (n += d.length)); q.on("end", () => r.end("got " + n)); }
    else r.end("hello " + q.url);
  });
  server.keepAliveTimeout = server.requestTimeout = server.headersTimeout = 0; // a crowded machine is slow
  server.listen(7341, "127.0.0.1");
}
END
cat >client.js <<'END'
const http = require("http"), zlib = require("zlib");
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const get = (path, method = "GET", body) => new Promise((ok, no) => {
  const q = http.request({ port: 7341, host: "127.0.0.1", path, agent, method }, (m) => {
    const c = []; m.on("data", (d) => c.push(d)); m.on("end", () => ok(Buffer.concat(c))); });
  q.on("error", no); q.end(body); });
(async () => {
  console.log((await get("/a")).toString());
  console.log(zlib.gunzipSync(await get("/zip")).length);
  console.log((await get("/post", "POST", Buffer.alloc(3000000, "p"))).toString());
  const start = process.hrtime.bigint();
  const all = await Promise.all(Array.from({ length: 2000 }, (_, i) => get("/" + i)));
  console.error("rate: node/keep-alive", Math.round(2000 / (Number(process.hrtime.bigint() - start) / 1e9)), "req/s");
  console.log(all.filter((b, i) => b.toString() == "hello /" + i).length);
  agent.destroy();
})();
END
node server.js >server.out & server=$!
wait_until grep -q listening server.out
node client.js
ab -q -k -n 2000 -c 8 http://127.0.0.1:7341/ >ab.out 2>&1
awk '/^Requests per second/ {print "rate: node/ab", $4, "req/s"}' ab.out >&2
grep -E '^(Complete|Failed) requests' ab.out
kill "$server"; wait "$server"; echo "server ended: $?"
rm -f ab.out
