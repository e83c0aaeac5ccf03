#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python3 asyncio: streams over TCP and a unix socket, subprocesses, timeouts, many tasks.
exec /usr/bin/python3 - <<'END'
import asyncio, sys
async def echo(r, w):
    while line := await r.readline():
        w.write(line.upper()); await w.drain()
    w.close()
async def talk(opening):
    r, w = await opening
    out = []
    for i in range(50):
        w.write(b"line %d\n" % i); out.append(await r.readline())
    w.close()
    return out[-1]
async def main():
    tcp = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    print(await asyncio.gather(*(talk(asyncio.open_connection("127.0.0.1", port)) for _ in range(20))))
    unix = await asyncio.start_unix_server(echo, "sock")
    print(await asyncio.gather(*(talk(asyncio.open_unix_connection("sock")) for _ in range(10))))
    p = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    print((await p.communicate(b"through cat"))[0], p.returncode)
    try:
        await asyncio.wait_for(asyncio.sleep(5), 0.05)
    except asyncio.TimeoutError:
        print("timeout")
    order = []
    async def later(n):
        await asyncio.sleep(n / 50); order.append(n)
    await asyncio.gather(*(later(n) for n in (5, 1, 3)))
    print(order)
    tcp.close(); unix.close()
asyncio.run(main())
import os; os.path.exists("sock") and os.unlink("sock")
END
