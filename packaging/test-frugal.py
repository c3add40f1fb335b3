"""Shows what the server needs on a small machine: packaging/test-frugal.py SERVER, as root (it makes a control group).

At rest it hardly wakes up, writes nothing and stays small. With 200 waiting clients and 10 messages a second it stays
within 16 MB, everything counted that the kernel counts. With far less than it needs, the kernel ends it, and that is all:
whoever supervises it starts it again. Figures go to standard output; exit code 0 if all of it holds.
"""

import os
import pathlib
import subprocess
import sys
import threading
import time
import xmlrpc.client

LIMIT_BYTES = 16 << 20
TOO_LITTLE_BYTES = 2 << 20
CLIENTS = 200
MESSAGES = 100
MESSAGES_PER_SECOND = 10
REST_SECONDS = 60
# At rest: the janitor every 5 s, and every 20 s a connection to itself, which keeps tiny_http's `accept` from timing out and
# wakes three threads.
WAKE_UPS_PER_SECOND = 0.6
PATIENCE_SECONDS = 120


class ControlGroup:
    """A memory control group of either version of the kernel's interface."""

    def __init__(self, name, limit):
        root = pathlib.Path("/sys/fs/cgroup")
        self.second = (root / "cgroup.controllers").exists()
        self.path = (root if self.second else root / "memory") / name
        self.path.mkdir()
        for file in ["memory.max", "memory.swap.max"] if self.second else ["memory.limit_in_bytes"]:
            if (self.path / file).exists():
                (self.path / file).write_text("0" if "swap" in file else str(limit))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.path.rmdir()

    def peak(self):
        return int((self.path / ("memory.peak" if self.second else "memory.max_usage_in_bytes")).read_text())


class Server:
    def __init__(self, program, group):
        enter = f'echo $$ >"{group.path}/cgroup.procs" && exec "$@"'
        options = ["--listen", "127.0.0.1:0", "--no-binder", "--registration-rate", "0", "--log-level", "warn"]
        self.process = subprocess.Popen(["sh", "-c", enter, "sh", program, *options], stdout=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline().split()
        self.address = ready[-1] if ready else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def proxy(self):
        return xmlrpc.client.ServerProxy(f"http://{self.address}/", allow_none=True)

    def status(self, key, where=""):
        path = pathlib.Path(f"/proc/{self.process.pid}{where}/status")
        return int(next(line for line in path.read_text().splitlines() if line.startswith(key)).split()[1])

    def wake_ups(self):
        threads = os.listdir(f"/proc/{self.process.pid}/task")
        return sum(self.status("voluntary_ctxt_switches", f"/task/{thread}") for thread in threads)

    def written(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/io").read_text()
        return int(text.split("\nwrite_bytes: ")[1].split()[0])


def at_rest(server):
    before = server.wake_ups()
    time.sleep(REST_SECONDS)
    rate = (server.wake_ups() - before) / REST_SECONDS
    print(f"at rest: {server.status('VmRSS')} kB resident, {rate:.1f} wake-ups a second, {server.written()} bytes written")
    assert rate <= WAKE_UPS_PER_SECOND, "it wakes up too often"
    assert server.written() == 0, "it writes to disk"


def wait_for_all(server, name, after, received):
    chat = server.proxy()
    while len(received) < MESSAGES:
        try:
            news = chat.wait_messages(name, "lobby", after, 30)
        except OSError:
            # Then messages are missing, and that is what counts.
            return
        received += [message["id"] for message in news["messages"]]
        after = news["last_id"]


def crowded(server):
    chat = server.proxy()
    chat.create_room("lobby")
    boxes = []
    threads = []
    for number in range(CLIENTS):
        name = f"user{number}"
        chat.register_user(name)
        after = chat.join_room(name, "lobby")["last_id"]
        boxes.append([])
        threads.append(threading.Thread(target=wait_for_all, args=(server, name, after, boxes[-1]), daemon=True))
        threads[-1].start()
    for number in range(MESSAGES):
        started = time.monotonic()
        chat.send_message(f"user{number % CLIENTS}", "lobby", f"message {number}", None)
        time.sleep(max(0, 1 / MESSAGES_PER_SECOND - (time.monotonic() - started)))
    deadline = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    whole = list(range(1, MESSAGES + 1))
    complete = sum(box == whole for box in boxes)
    print(f"{CLIENTS} waiting clients, {MESSAGES_PER_SECOND} messages a second: {complete} clients have all {MESSAGES}")
    print(f"  {server.status('VmHWM')} kB resident at most, {server.status('Threads')} threads now")
    assert complete == CLIENTS, "messages are missing"


def main():
    program = os.path.realpath(sys.argv[1])
    name = f"chat-rpc-{os.getpid()}"
    with ControlGroup(name, LIMIT_BYTES) as group, Server(program, group) as server:
        at_rest(server)
        crowded(server)
        print(f"  {group.peak()} of {LIMIT_BYTES} bytes used at most, the kernel's share included")
    with ControlGroup(name, TOO_LITTLE_BYTES) as group, Server(program, group) as server:
        try:
            crowded(server)
        except (OSError, xmlrpc.client.Error, AssertionError):
            pass
        code = server.process.wait(PATIENCE_SECONDS)
        print(f"with {TOO_LITTLE_BYTES} bytes: ended by signal {-code}")
        assert code == -9, "it should have been ended by the kernel"


if __name__ == "__main__":
    main()
