#!/bin/bash
# Tries the Debian package: packaging/test-deb.sh FILE.deb, as root. A new Debian (debootstrap) is booted in a container
# with a network of its own; the package is installed there, both services come up by themselves and are talked to,
# come back when killed, stop when asked, are started by their sockets, and leave nothing behind when purged.
#
# Needs debootstrap, systemd-container, and a Debian mirror.
set -euo pipefail

package=$(realpath "$1")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
leader=
container=

cleanup() {
    if [ -n "$leader" ]; then kill -KILL "$leader" || true; fi
    if [ -n "$container" ]; then wait "$container" || true; fi
    rm -rf --one-file-system "$scratch"
}
trap cleanup EXIT

fail() {
    echo "test-deb: $*" >&2
    if [ -n "$leader" ]; then inside journalctl --no-pager -n 40 -u 'chat-*' >&2 || true; fi
    exit 1
}

eventually() {
    local what=$1 end=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "not within 60 s: $what"
        sleep 0.2
    done
}

inside() {
    nsenter --target "$leader" --all -- "$@"
}

state() {
    inside systemctl show --value --property="$2" "$1"
}

restarted() {
    [ "$(state "$1" NRestarts)" -gt 0 ]
}

# Talks from outside of the container, but in its network: nothing but the package is in there.
talk() {
    nsenter --target "$leader" --net -- python3 - "$1" <<'PYTHON'
import sys
from xmlrpc.client import ServerProxy

binder = ServerProxy("http://127.0.0.1:5000/", allow_none=True)
address, port = binder.lookup_procedure("send_message")
chat = ServerProxy(f"http://{address}:{port}/", allow_none=True)
name = sys.argv[1]
chat.register_user(name)
chat.create_room(name)
chat.join_room(name, name)
chat.send_message(name, name, "hello", None)
assert [message["content"] for message in chat.receive_messages(name, name)] == ["hello"]
PYTHON
}

# One call to the server, which may have to be started for it.
call_chat() {
    nsenter --target "$leader" --net -- python3 -c '
from xmlrpc.client import ServerProxy
ServerProxy("http://127.0.0.1:9000/").list_rooms()'
}

echo "a new Debian"
debootstrap --variant=minbase --include=systemd-sysv bookworm "$scratch/root" >"$scratch/debootstrap.log" ||
    fail "debootstrap: $(tail -n 5 "$scratch/debootstrap.log")"
cp "$package" "$scratch/root/chat.deb"
systemd-nspawn --quiet --directory="$scratch/root" --private-network --register=no --keep-unit --boot \
    >"$scratch/boot.log" 2>&1 </dev/null &
container=$!
eventually "the container starts" pgrep -P $container
leader=$(pgrep -P $container)
eventually "it has booted" inside systemctl is-active multi-user.target

echo "install"
inside dpkg --install /chat.deb
for program in chat-binder chat-server chat-client; do
    inside test -s /usr/share/man/man1/$program.1.gz || fail "$program has no manual page"
    inside test -s /usr/share/bash-completion/completions/$program || fail "$program has no completion"
done
inside systemd-analyze verify /usr/lib/systemd/system/chat-{binder,server}.service /usr/share/chat-rpc/chat-{binder,server}.socket
for service in chat-binder chat-server; do
    inside systemctl is-active $service >/dev/null || fail "$service is not active"
    inside systemctl is-enabled $service >/dev/null || fail "$service is not enabled"
    inside systemd-analyze security --threshold=15 $service | tail -n 1
    user=$(inside stat -c %u "/proc/$(state $service MainPID)")
    [ "$user" -ge 61184 ] || fail "$service runs as user $user, which is not a dynamic one"
done
eventually "both answer" talk first

echo "a service is active when it says so"
# One that never says so: as far as systemd sees, it is still starting when it has long been up.
inside mkdir /run/systemd/system/chat-binder.service.d
inside sh -c 'printf "[Service]\nUnsetEnvironment=NOTIFY_SOCKET\nTimeoutStartSec=3\nRestart=no\n" >/run/systemd/system/chat-binder.service.d/silent.conf'
inside systemctl daemon-reload
if inside systemctl restart chat-binder; then fail "chat-binder is active without a word"; fi
[ "$(state chat-binder Result)" = timeout ] || fail "chat-binder failed with $(state chat-binder Result)"
inside rm -r /run/systemd/system/chat-binder.service.d
inside systemctl daemon-reload
inside systemctl restart chat-binder
[ "$(state chat-binder Type)" = notify ] || fail "chat-binder is of another type"
eventually "both answer once more" talk once-more

echo "killed, they come back"
for service in chat-server chat-binder; do
    inside systemctl kill --signal=KILL $service
    eventually "$service is started again" restarted $service
done
eventually "both answer again" talk second

echo "started by their sockets"
inside systemctl disable --quiet --now chat-server chat-binder
inside systemctl enable --quiet --now /usr/share/chat-rpc/chat-{binder,server}.socket
for round in first-start second-start third-start; do
    for service in chat-binder chat-server; do
        [ "$(state $service ActiveState)" = inactive ] || fail "$service is $(state $service ActiveState) before a call"
    done
    # The server registers at the binder once it is up.
    call_chat
    eventually "both answer, $round" talk $round
    for service in chat-server chat-binder; do
        inside systemctl is-active $service >/dev/null || fail "$service is not active"
        inside systemctl is-active $service.socket >/dev/null || fail "$service.socket is not active"
    done
    inside systemctl stop chat-server chat-binder
    # Long enough for a start that nobody asked for to show.
    sleep 1
    for service in chat-server chat-binder; do
        [ "$(state $service.socket SubState)" = listening ] || fail "$service.socket is $(state $service.socket SubState)"
    done
done
inside systemctl disable --quiet --now chat-{binder,server}.socket
inside systemctl enable --quiet --now chat-binder chat-server
eventually "both answer without sockets" talk without-sockets

echo "stop, and purge"
inside systemctl stop chat-server chat-binder
for service in chat-binder chat-server; do
    result=$(state $service Result)
    [ "$result" = success ] || fail "$service stopped with $result"
done
inside dpkg --purge chat-rpc
left=$(inside find / -xdev \( -path /proc -o -path /sys \) -prune -o \( -name 'chat-*' -o -name chat-rpc \) -print)
[ -z "$left" ] || fail "left behind: $left"
echo "kept"
