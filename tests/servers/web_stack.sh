#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Apache with CGI and PHP's FastCGI manager behind haproxy and squid: ab's load, reloads that lose nothing, a stop that waits.
. "$(dirname "$0")/lib"
PATH=$PATH:/usr/sbin
need apache2 php-fpm8.2 haproxy squid ab wget
[ "$(id -u)" -eq 0 ] || skip "the servers start as root"
mkdir -p httpd www cgi cache && chmod 755 . && chown proxy cache
echo hello >www/x && echo '<?php echo PHP_SAPI, " ", 6 * 7, "\n";' >www/a.php
printf '#!/bin/sh\necho Content-type: text/plain; echo; echo cgi $REQUEST_METHOD\n' >cgi/a && chmod +x cgi/a
modules=/usr/lib/apache2/modules
cat >httpd/conf <<END
ServerRoot $PWD/httpd
ServerName test
Listen 127.0.0.1:7393
PidFile $PWD/httpd/pid
ErrorLog $PWD/httpd/log
User www-data
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule alias_module $modules/mod_alias.so
LoadModule cgid_module $modules/mod_cgid.so
LoadModule proxy_module $modules/mod_proxy.so
LoadModule proxy_fcgi_module $modules/mod_proxy_fcgi.so
ScriptSock $PWD/httpd/cgi.sock
ScriptAlias /cgi/ $PWD/cgi/
DocumentRoot $PWD/www
<Directory />
Require all granted
</Directory>
<FilesMatch php$>
SetHandler "proxy:unix:$PWD/fpm.sock|fcgi://localhost"
</FilesMatch>
END
cat >fpm.conf <<END
[global]
pid = $PWD/fpm.pid
error_log = $PWD/fpm.log
[www]
user = www-data
group = www-data
listen = $PWD/fpm.sock
listen.owner = www-data
pm = dynamic
pm.max_children = 4
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
END
cat >ha.conf <<END
global
  maxconn 100
  nbthread 2
defaults
  mode http
  timeout connect 30s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:7391
  default_backend b
backend b
  server s 127.0.0.1:7393
END
cat >squid.conf <<END
http_port 127.0.0.1:7396
pid_filename $PWD/cache/pid
cache_dir ufs $PWD/cache/d 10 4 4
coredump_dir $PWD/cache
access_log stdio:$PWD/cache/access
cache_log $PWD/cache/log
cache_effective_user proxy
http_access allow all
shutdown_lifetime 1 seconds
visible_hostname test
pinger_enable off
netdb_filename none
END
php-fpm8.2 -y "$PWD/fpm.conf" -D && apache2 -f "$PWD/httpd/conf" -k start && haproxy -f ha.conf -D -p ha.pid
get() { wget -qO- "http://127.0.0.1:$1"; }
load() { ab -q -n "$2" -c 10 "http://127.0.0.1:$1" 2>/dev/null | grep -E 'Complete|Failed'; }
wait_until get 7391/x
for path in x cgi/a a.php none; do get "7391/$path"; echo "$?"; done
load 7393/x 2000
load 7391/a.php 200
load 7391/cgi/a 50
(load 7391/x 1000) & sleep 0.1; apache2 -f "$PWD/httpd/conf" -k graceful; kill -USR2 "$(cat fpm.pid)"; wait $!
wait_until get 7391/a.php && get 7391/a.php
squid -N -z -f "$PWD/squid.conf" 2>/dev/null
squid -f "$PWD/squid.conf" -n test 2>/dev/null
through() { http_proxy=http://127.0.0.1:7396 get "$1"; }
wait_until through 7393/x
through 7393/x; through 7393/none; echo "$?"
squid -k shutdown -f "$PWD/squid.conf" -n test 2>/dev/null
wait_until test ! -e cache/pid && awk '{print $4}' cache/access | sort -u | grep -c -E 'TCP_(MISS|REFRESH|MEM|HIT)'
kill -USR1 "$(cat ha.pid)" && apache2 -f "$PWD/httpd/conf" -k graceful-stop && kill -QUIT "$(cat fpm.pid)"
wait_until test ! -e httpd/pid && wait_until test ! -e fpm.pid && echo stopped
rm -rf ./*
