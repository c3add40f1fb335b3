#!/bin/sh
# Tries packaging/nginx/chat-rpc.conf with the real nginx: TLS, a long poll and a stream of events that are answered at once, and the limits.
# Needs nginx, openssl, python3 and a built server; binds to ports of 127.0.0.1 that the system chooses.
set -eu
cd "$(dirname "$0")/.."
server=${1:-target/debug/server}
work=$(mktemp -d)
pids=
cleanup() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT INT TERM

"$server" --listen 127.0.0.1:0 --no-binder --require-auth --allow-host chat.example >"$work/server.out" 2>"$work/server.err" &
pids="$pids $!"
tries=0
until grep -q listening "$work/server.out"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { cat "$work/server.err"; exit 1; }
    sleep 0.1
done
upstream=$(sed 's/.* on //' "$work/server.out")
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=chat.example -addext subjectAltName=DNS:chat.example,IP:127.0.0.1 \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
sed -e "s|listen 443 ssl|listen 127.0.0.1:$port ssl|" -e "s|server 127.0.0.1:9000|server $upstream|" \
    -e "s|/etc/ssl/certs/chat.example.pem|$work/cert.pem|" -e "s|/etc/ssl/private/chat.example.key|$work/key.pem|" \
    packaging/nginx/chat-rpc.conf >"$work/chat-rpc.conf"
cat >"$work/nginx.conf" <<END
pid $work/nginx.pid;
error_log $work/error.log;
events {}
http {
    access_log off;
    client_body_temp_path $work/body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
    include $work/chat-rpc.conf;
}
END
nginx -e "$work/error.log" -c "$work/nginx.conf" -g 'daemon off;' &
pids="$pids $!"

python3 - "$port" "$work/cert.pem" <<'END'
import base64, http.client, socket, ssl, sys, threading, time, xmlrpc.client

port, certificate = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=certificate)
for _ in range(100):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        break
    except OSError:
        time.sleep(0.1)

def proxy(user):
    return xmlrpc.client.ServerProxy(f"https://{user}:secret-of-{user}@127.0.0.1:{port}/RPC2", context=context, allow_none=True)

ana, bob = proxy("ana"), proxy("bob")
ana.register_user("ana"), bob.register_user("bob"), ana.create_room("lobby"), ana.join_room("ana", "lobby"), bob.join_room("bob", "lobby")
got = []
waiting = threading.Thread(target=lambda: got.append(proxy("bob").wait_messages("bob", "lobby", 0, 60)))
waiting.start()
time.sleep(0.5)
sent = time.monotonic()
ana.send_message("ana", "lobby", "through the proxy")
waiting.join(10)
assert got and got[0]["messages"][0]["content"] == "through the proxy", got
print(f"a long poll was answered {1000 * (time.monotonic() - sent):.0f} ms after the message was sent")

def stream():
    head = base64.b64encode(b"bob:secret-of-bob").decode()
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    connection.request("GET", "/events?username=bob&room=lobby", headers={"Authorization": f"Basic {head}"})
    response = connection.getresponse()
    assert response.status == 200, response.status
    for line in response:
        yield line

events = stream()
assert next(events) == b"event: room\n"
sent = time.monotonic()
ana.send_message("ana", "lobby", "pushed through the proxy")
while b"pushed through the proxy" not in next(events):
    pass
print(f"an event came {1000 * (time.monotonic() - sent):.0f} ms after the message was sent")

connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
connection.request("GET", "/", headers={"Accept-Encoding": "gzip"})
response = connection.getresponse()
assert (response.status, response.headers["Content-Encoding"]) == (200, "gzip"), (response.status, response.headers)
assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"], response.headers
print(f"the page came in {len(response.read())} bytes")

def raw(request):
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="chat.example") as stream:
        stream.settimeout(10)
        try:
            stream.sendall(request)
            return stream.recv(12).decode()
        except (ConnectionError, ssl.SSLError):
            return "closed"

head = b"POST /RPC2 HTTP/1.1\r\nHost: chat.example\r\nContent-Type: text/xml\r\n"
for what, request, wanted in [
    ("a header line of 1 MB", head + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n", ("HTTP/1.1 400", "closed")),
    ("10,000 header lines", head + b"X: x\r\n" * 10_000 + b"\r\n", ("HTTP/1.1 400", "closed")),
    ("an announced body of 1 TB", head + b"Content-Length: 1000000000000\r\n\r\n", ("HTTP/1.1 413",)),
    ("GET", b"GET /RPC2 HTTP/1.1\r\nHost: chat.example\r\n\r\n", ("HTTP/1.1 403",)),
    ("metrics", b"GET /metrics HTTP/1.1\r\nHost: chat.example\r\n\r\n", ("HTTP/1.1 404",)),
]:
    answer = raw(request)
    assert answer in wanted, (what, answer)
    print(f"{what}: {answer}")

codes = [raw(head + b"Content-Length: 0\r\nConnection: close\r\n\r\n") for _ in range(400)]
assert "HTTP/1.1 429" in codes, set(codes)
print(f"a flood of 400 requests: {codes.count('HTTP/1.1 429')} answered 429")
END
echo "1 passed, 0 failed"
