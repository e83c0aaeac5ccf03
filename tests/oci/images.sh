#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real images under Docker: Debian, nginx, redis, PostgreSQL and node, made here from Debian packages, with volumes,
# users, limits, health checks, published ports, names on a user-defined network, restart policies and a set of
# services that need each other. Probe by probe with runc and with runsc-c.
# OCI_IMAGES=DIR keeps the images' tar files there, and uses those that are.
. "$(dirname "$0")/lib.sh"
need dockerd docker jq runc mmdebstrap curl nsenter unshare script
probe_seconds=300

mkdir "$work/www" "$work/app"
dockerd_start "$(jq -n --arg p "$RUNSC" '{"runsc-c": {path: $p}}')"
export work

images=${OCI_IMAGES:-$work/images}
mkdir -p "$images"

# root NAME PACKAGE...: images/NAME.tar, Debian with these packages; the first one is what the others start from.
root() {
    local tar=$images/$1.tar dir=$work/root-$1
    shift
    [ -e "$tar" ] && return
    if [ ! -d "$work/root-debian" ]; then
        mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "$*")" bookworm "$work/root-debian" >&2 || fail "mmdebstrap"
        printf '#!/bin/sh\nexit 101\n' >"$work/root-debian/usr/sbin/policy-rc.d"
        chmod +x "$work/root-debian/usr/sbin/policy-rc.d"
    fi
    if [ "$dir" != "$work/root-debian" ]; then
        cp -a "$work/root-debian" "$dir"
        cp /etc/resolv.conf "$dir/etc/"
        chroot "$dir" sh -c 'export DEBIAN_FRONTEND=noninteractive
            apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@" && rm -rf /var/lib/apt/lists/*' sh "$@" >"$work/apt.log" 2>&1 ||
            fail "apt-get install $*: $(tail -n 5 "$work/apt.log")"
    fi
    tar -C "$dir" -cf "$tar.new" . && mv "$tar.new" "$tar"
}

# image NAME CHANGE...: the tar file as an image.
image() {
    local name=$1 change options=()
    shift
    for change; do options+=(-c "$change"); done
    docker import -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' "${options[@]}" "$images/$name.tar" \
        "$name:latest" >/dev/null || fail "import $name"
}
root debian iproute2 procps iputils-ping curl python3 bind9-dnsutils
root nginx nginx-light
root redis redis-server
root postgres postgresql
root node nodejs
rm -rf "$work"/root-*
image debian 'CMD ["bash"]'
image nginx 'CMD ["nginx", "-g", "daemon off; error_log stderr;"]' 'EXPOSE 80'
image redis 'USER redis' 'WORKDIR /var/lib/redis' 'VOLUME /var/lib/redis' 'EXPOSE 6379' \
    'CMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/var/lib/redis"]'
image postgres 'USER postgres' 'EXPOSE 5432' 'ENV PGDATA=/var/lib/postgresql/data' \
    'ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    'CMD ["sh", "-c", "[ -s $PGDATA/PG_VERSION ] || { initdb -A trust >/dev/null && echo host all all all trust >>$PGDATA/pg_hba.conf; }; exec postgres -c listen_addresses=* -c unix_socket_directories=/tmp"]'
image node 'WORKDIR /app' 'CMD ["node", "app.js"]'

echo '<h1>hello</h1>' >"$work/www/index.html"
cat >"$work/www/proxy.conf" <<'END'
server {
    listen 80;
    resolver 127.0.0.11;
    location / {
        set $app http://app:3000;
        proxy_pass $app;
    }
}
END
# Counts its visitors in redis and keeps them in PostgreSQL's place, a file on a volume; leaves politely.
cat >"$work/app/app.js" <<'END'
const http = require('http'), net = require('net'), fs = require('fs');
const server = http.createServer((request, response) => {
    const cache = net.connect(6379, 'cache', () => cache.write('INCR visits\r\n'));
    cache.once('data', (data) => {
        cache.end();
        fs.appendFileSync('/data/visits', String(data).slice(1));
        response.end(`visit ${parseInt(String(data).slice(1))} by ${process.getuid()}\n`);
    });
    cache.on('error', (error) => { response.statusCode = 502; response.end(error.code + '\n'); });
});
process.on('SIGTERM', () => server.close(() => { console.log('closed'); process.exit(0); }));
server.keepAliveTimeout = 1;
server.listen(3000, () => console.log('listening'));
END
cat >"$work/app/work.js" <<'END'
const { Worker, isMainThread, parentPort } = require('worker_threads'), crypto = require('crypto'), zlib = require('zlib');
if (isMainThread) {
    const all = [1, 2, 3].map((n) => new Promise((done) => new Worker(__filename).on('message', done).postMessage(n)));
    Promise.all(all).then((sums) => console.log(sums.join(' '), require('child_process').execSync('echo child').toString().trim(),
        zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(1 << 20))).length));
} else {
    parentPort.once('message', (n) => parentPort.postMessage(crypto.createHash('sha256').update(Buffer.alloc(n << 20)).digest('hex').slice(0, 8)));
}
END
cat >"$work/app/threads.py" <<'END'
import threading
held, count = threading.Event(), 0
try:
    while count < 200:
        threading.Thread(target=held.wait, daemon=True).start()
        count += 1
except RuntimeError:
    pass
print(count)
END
chmod -R a+rX "$work/www" "$work/app"

until_ok() {
    for _ in $(seq 600); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    echo "never: $*"
    return 1
}
state() { docker inspect -f "$1" "$2"; }
healthy() { [ "$(state '{{.State.Health.Status}}' "$1")" = healthy ]; }
is() { [ "$(state "$1" "$2")" = "$3" ]; }
fetch() { in_network curl -sS -m 60 "$@"; }
export -f until_ok state healthy is fetch

matrix() {
    local f=$work/$1
    export x="--runtime=$1"
    s() { probe "$f" "$1" bash -c "$2"; }
    s "debian" 'docker run --rm $x --network none debian sh -c "cat /etc/debian_version; dpkg -l | wc -l; python3 -c \"print(sum(range(100)))\"; id"'
    s "many processes" 'docker run --rm $x --network none debian sh -c "for i in \$(seq 200); do /bin/true || echo failed; done; find /usr -type f | wc -l"'
    s "users" 'docker run --rm $x --network none -u www-data:daemon --group-add 7 debian sh -c "id; touch /x 2>&1"'
    s "volume of a user" 'docker run --rm $x --network none -u 1234 -v volume:/v debian touch /v/x; docker run --rm $x --network none -v volume:/v debian sh -c "chown 1234 /v; ls -ln /v | tail -n 1 | cut -d\" \" -f3"; docker run --rm $x --network none -u 1234 -v volume:/v debian sh -c "echo mine >/v/y; cat /v/y"; docker volume rm volume'
    s "memory limit" 'docker run --name oom $x --network none -m 64m --memory-swap 64m debian python3 -c "x = bytearray(200 << 20)"; docker inspect -f "{{.State.OOMKilled}} {{.State.ExitCode}}" oom; docker rm oom'
    s "within the limit" 'docker run --rm $x --network none -m 64m --memory-swap 64m debian python3 -c "print(len(bytearray(20 << 20)))"'
    s "limit on tasks" 'docker run --rm $x --network none --pids-limit 20 -v $work/app:/app:ro debian python3 /app/threads.py'
    s "limit on tasks, changed" 'docker run -d --name tasks $x --network none --pids-limit 20 -v $work/app:/app:ro debian sleep 1000 | wc -l; docker update --pids-limit 40 tasks; docker exec tasks python3 /app/threads.py; docker rm -f tasks'
    s "limit on CPUs" 'docker run --rm $x --network none --cpus 0.5 --cpuset-cpus 0 debian nproc'
    s "ping" 'docker run --rm $x --network net debian ping -c 2 -q 127.0.0.1 | grep -o "2 received"; docker run --rm $x --network net debian sh -c "ping -c 1 -q \$(ip route | sed -n \"s/default via \\([^ ]*\\).*/\\1/p\")" | grep -o "1 received"'
    s "raw socket" 'docker run --rm $x --network net debian python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print(1)"; docker run --rm --cap-drop NET_RAW $x --network net debian python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)" 2>&1 | tail -n 1'
    s "port 80" 'docker run --rm $x --network net debian python3 -c "import socket; socket.socket().bind((\"\", 80)); print(80)"'
    s "interfaces" 'docker run --rm $x --network net debian sh -c "ip -o link | cut -d: -f2 | cut -d@ -f1; ip -4 -o addr | wc -l; ip route | wc -l"'

    s "nginx" 'docker run -d --name web $x --stop-signal QUIT --network net -p 127.0.0.1:8080:80 -v $work/www:/var/www/html:ro -m 128m --cpus 1 --pids-limit 64 --health-cmd "bash -c \"echo >/dev/tcp/127.0.0.1/80\"" --health-interval 1s nginx | wc -l; until_ok healthy web; state "{{.State.Health.Status}}" web'
    s "published port" 'fetch http://127.0.0.1:8080/'
    s "name of a container" 'docker run --rm $x --network net debian curl -sS http://web/'
    s "resolver" 'docker run --rm $x --network net debian sh -c "getent hosts web | tr -s \" \" | cut -d\" \" -f2; dig +short web | wc -l; tail -n 2 /etc/resolv.conf"'
    s "ping by name" 'docker run --rm $x --network net debian ping -c 1 -q web | grep -o "1 received"'
    s "network of a container" 'docker run --rm $x --network container:web debian sh -c "curl -sS http://127.0.0.1/; ping -c 1 -q 127.0.0.1 | grep -o \"1 received\"; python3 -c \"import socket; socket.socket().bind((\\\"\\\", 81)); print(81)\""'
    s "big answer" 'docker exec web sh -c "head -c 50000000 /dev/zero >/tmp/big"; docker exec web sh -c "cp /tmp/big /usr/share/nginx/big; sed -i s,/var/www/html,/usr/share/nginx, /etc/nginx/sites-enabled/default"; docker kill -s HUP web; sleep 1; fetch http://127.0.0.1:8080/big | wc -c'
    s "copy into nginx" 'echo new >$work/new; docker cp -q $work/new web:/usr/share/nginx/new; fetch http://127.0.0.1:8080/new'
    s "nginx tests itself" 'docker exec web nginx -t 2>&1 | tail -n 1'
    s "processes of nginx" 'docker exec web sh -c "cat /proc/[0-9]*/comm" 2>/dev/null | grep -c nginx'
    s "access log" 'docker exec web grep GET /var/log/nginx/access.log | tail -n 1 | cut -d\" -f2-3'
    s "stop nginx" 'docker stop -t 60 web; state "{{.State.ExitCode}}" web; docker rm web'

    s "redis" 'docker run -d --name cache $x --network net -v cache:/var/lib/redis -m 256m --restart always --health-cmd "redis-cli ping" --health-interval 1s redis | wc -l; until_ok healthy cache; docker exec cache id -un'
    s "set and get" 'docker exec cache redis-cli set key value; docker run --rm $x --network net redis redis-cli -h cache get key'
    s "redis-benchmark" 'docker run --rm $x --network net redis redis-benchmark -h cache -n 2000 -c 20 -t set,get,lpush -q | tr "\r" "\n" | grep -c "requests per second, p50"'
    s "stop and start redis" 'docker stop -t 60 cache; state "{{.State.ExitCode}}" cache; docker logs cache 2>&1 | grep -c "DB saved on disk"; docker start cache; until_ok docker exec cache redis-cli ping; docker exec cache redis-cli get key'
    s "restart policy always" 'docker exec cache redis-cli shutdown nosave; until_ok is "{{.RestartCount}}" cache 1; until_ok docker exec cache redis-cli ping; docker exec cache redis-cli get key'

    s "PostgreSQL" 'docker run -d --name db $x --stop-signal INT --network net --shm-size 128m --stop-timeout 60 -v db:/var/lib/postgresql --health-cmd "pg_isready -h 127.0.0.1" --health-interval 1s postgres | wc -l; until_ok healthy db; docker exec db id -un'
    s "SQL" 'docker exec db psql -h 127.0.0.1 -qAt -c "create table t as select generate_series(1, 10000) n" -c "select count(*), sum(n) from t" -c "show shared_memory_type"'
    s "SQL by name" 'docker run --rm $x --network net postgres psql -h db -At -c "select max(n) from t"'
    s "pgbench" 'docker exec db pgbench -h 127.0.0.1 -i -q -s 1 postgres 2>&1 | tail -n 1 | cut -d" " -f1; docker exec db pgbench -h 127.0.0.1 -c 4 -t 50 postgres 2>&1 | grep "actually processed"'
    s "stop PostgreSQL" 'docker stop db; state "{{.State.ExitCode}}" db; docker start db; until_ok docker exec db pg_isready -h 127.0.0.1; docker exec db psql -h 127.0.0.1 -At -c "select count(*) from t"'
    s "PostgreSQL after a crash" 'docker exec db psql -h 127.0.0.1 -qAt -c "insert into t values (10001)"; docker kill db; docker start db; until_ok docker exec db pg_isready -h 127.0.0.1; until_ok docker exec db psql -h 127.0.0.1 -At -c "select 1"; docker exec db psql -h 127.0.0.1 -At -c "select count(*) from t"; docker logs db 2>&1 | grep -c "automatic recovery in progress"'

    s "node" 'docker run --rm $x --network none -u 1000 -v $work/app:/app:ro node node work.js'
    s "restart policy on failure" 'docker run -d --name again $x --network none --restart on-failure:2 node node -e "console.log(1); process.exit(3)" | wc -l; until_ok is "{{.RestartCount}} {{.State.Status}}" again "2 exited"; docker logs again; state "{{.State.ExitCode}}" again; docker rm again'
    s "a set of services" 'docker run -d --name app $x --network net -u 1000:1000 --tmpfs /data:mode=1777 --read-only -v $work/app:/app:ro node | wc -l; docker run -d --name web $x --stop-signal QUIT --network net -p 8081:80 -v $work/www/proxy.conf:/etc/nginx/sites-enabled/default:ro nginx | wc -l; until_ok fetch -f http://127.0.0.1:8081/; for i in $(seq 20); do fetch http://127.0.0.1:8081/ | cut -d" " -f1,3-; done | sort | uniq -c; docker exec app sh -c "wc -l </data/visits"; docker exec cache redis-cli get visits | grep -c .'
    s "one of them is away" 'docker stop cache; fetch -o /dev/null -w "%{http_code}\n" http://127.0.0.1:8081/; docker start cache; until_ok fetch -f http://127.0.0.1:8081/; fetch http://127.0.0.1:8081/ | cut -d" " -f1,3-'
    s "stop the set" 'docker stop -t 60 web app db cache; for i in web app db cache; do state "{{.State.ExitCode}}" $i; done; docker logs app; docker rm web app db cache; docker volume rm cache db'
}
matrix runc
matrix runsc-c
docker ps -aq | xargs -r docker rm -f >/dev/null 2>&1
compare "$work/runc" "$work/runsc-c" "$here/images.differences"
