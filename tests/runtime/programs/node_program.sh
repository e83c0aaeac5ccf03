#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# node: timers, promises, file system, child processes, HTTP to itself, worker threads.
command -v node >/dev/null || { echo "no node" >&2; exit 77; }
cat >n.js <<'END'
const fs = require("fs"), cp = require("child_process"), http = require("http"), { Worker } = require("worker_threads");
(async () => {
  fs.writeFileSync("a", "hello"); console.log(fs.readFileSync("a", "utf8"));
  console.log((await fs.promises.readdir("/usr/share/common-licenses")).sort().length);
  console.log(cp.execSync("echo from child").toString().trim());
  const s = http.createServer((q, r) => r.end("you asked for " + q.url)); await new Promise((r) => s.listen(0, "127.0.0.1", r));
  const body = await new Promise((r) => http.get({ port: s.address().port, path: "/x" }, (m) => { let b = ""; m.on("data", (d) => (b += d)); m.on("end", () => r(b)); }));
  console.log(body); s.close();
  console.log(await new Promise((r) => new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true }).on("message", r)));
  await new Promise((r) => setTimeout(r, 20));
  console.log(require("crypto").createHash("sha1").update("x").digest("hex"), process.platform, process.arch);
})();
END
node n.js
