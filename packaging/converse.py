"""Talks to built programs the way their users do. The packaging tests share it.

    converse.py [--run RUNNER] [--prefix PREFIX] DIRECTORY PROMISE…

DIRECTORY holds binder, server and client, with PREFIX before the names. RUNNER is put before each command: an emulator,
or what shuts the program into an empty root. PROMISE is one or more of

    answers        binder and server answer Python's xmlrpc.client, and end by SIGTERM with exit code 0
    conversation   two clients find the server through the binder, and chat
    past=TIME      messages go on, in order, while the clock passes TIME (the runner fakes a clock just before it)
    jump=FILE      messages go on when the clock jumps from 1970 to today (the runner takes its clock from FILE)

Exit code 0: all were kept. Python 3.9 or newer, standard library only.
"""

import argparse
import shlex
import signal
import subprocess
import sys
import threading
import time
import xmlrpc.client
from contextlib import ExitStack

# For what should come at once: an emulator on a busy machine is slow, and only a failure uses all of it up.
PATIENCE_SECONDS = 30
# What the programs promise for SIGTERM.
STOP_SECONDS = 2


class Broken(Exception):
    """A promise was not kept."""


def eventually(what, probe):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (result := probe()):
        if time.monotonic() > deadline:
            raise Broken(f"not within {PATIENCE_SECONDS} s: {what}")
        time.sleep(0.05)
    return result


class Program:
    """A running program. `with` ends it in any case, and prints what it wrote if the promise was broken."""

    def __init__(self, command):
        self.name = shlex.join(command)
        self.output, self.log = [], []
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.readers = [
            threading.Thread(target=lines.extend, args=(stream,))
            for lines, stream in ((self.output, self.process.stdout), (self.log, self.process.stderr))
        ]
        for reader in self.readers:
            reader.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        if kind:
            print(f"--- {self.name}: {self.process.returncode}", *self.output, *self.log, file=sys.stderr)

    def line_with(self, text):
        def find():
            if line := next((line for line in list(self.output) if text in line), None):
                return line
            if self.process.poll() is not None:
                raise Broken(f"ended before it wrote {text!r}: {self.name}")

        return eventually(f"{text!r} from {self.name}", find)

    def say(self, *lines):
        for line in lines:
            self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def terminate(self):
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.ends(STOP_SECONDS - (time.monotonic() - started))

    def ends(self, seconds=PATIENCE_SECONDS):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Broken(f"does not end: {self.name}") from None
        if code != 0:
            raise Broken(f"exit code {code}: {self.name}")


class Programs:
    """Starts programs from one directory, and ends them together."""

    def __init__(self, options, stack):
        self.runner = shlex.split(options.run)
        self.path = f"{options.directory}/{options.prefix}"
        self.stack = stack

    def start(self, name, *arguments):
        return self.stack.enter_context(Program([*self.runner, self.path + name, *arguments]))

    def serve(self, name, *arguments):
        """A program that listens, its address, and a proxy to talk to it."""
        program = self.start(name, "--listen", "127.0.0.1:0", *arguments)
        address = program.line_with(" listening on ").split()[-1]
        return program, address, xmlrpc.client.ServerProxy(f"http://{address}/", allow_none=True)


def answers(programs, _):
    binder, _, registry = programs.serve("binder")
    if "lookup_procedure" not in registry.system.listMethods():
        raise Broken("the binder does not list lookup_procedure")
    registry.register_procedure("answer", "127.0.0.1", 42)
    if registry.lookup_procedure("answer") != ["127.0.0.1", 42]:
        raise Broken("the binder forgot a procedure")
    server, _, chat = programs.serve("server", "--no-binder")
    chat.register_user("ada")
    chat.create_room("lobby")
    chat.join_room("ada", "lobby")
    chat.send_message("ada", "lobby", "Grüße, 世界", None)
    if [message["content"] for message in chat.receive_messages("ada", "lobby")] != ["Grüße, 世界"]:
        raise Broken("the server changed or lost a message")
    server.terminate()
    binder.terminate()


def conversation(programs, _):
    binder, binder_address, registry = programs.serve("binder")
    server, _, chat = programs.serve("server", "--binder", binder_address)
    eventually("the server is registered", lambda: registry.lookup_procedure("join_room"))
    ada = programs.start("client", "--binder", binder_address, "--user", "ada")
    ada.say("create lobby", "join lobby")
    eventually("ada is in the room", lambda: "lobby" in chat.list_rooms() and chat.list_users("lobby") == ["ada"])
    bob = programs.start("client", "--binder", binder_address, "--user", "bob")
    bob.say("join lobby")
    eventually("bob is in the room", lambda: len(chat.list_users("lobby")) == 2)
    ada.say("send hello all")
    bob.line_with("hello all")
    bob.say("send @ada just for you")
    ada.line_with("just for you")
    for client in (ada, bob):
        client.say("exit")
        client.ends()
    server.terminate()
    binder.terminate()


def chatting(programs):
    """A server with one user in one room: a function that sends a message and gives back its timestamp."""
    server, _, chat = programs.serve("server", "--no-binder")
    chat.register_user("ada")
    chat.create_room("lobby")
    last_id = chat.join_room("ada", "lobby")["last_id"]

    def send():
        nonlocal last_id
        chat.send_message("ada", "lobby", "tick", None)
        news = chat.wait_messages("ada", "lobby", last_id, 5)
        if len(news["messages"]) != 1:
            raise Broken(f"one message sent, {len(news['messages'])} came")
        last_id = news["last_id"]
        return news["messages"][0]["timestamp"]

    return server, send


def past(programs, moment):
    server, send = chatting(programs)
    before = send()
    if before >= moment:
        raise Broken(f"the clock is past {moment} already: {before}")
    after = eventually(f"the clock passes {moment}", lambda: (stamp := send()) > moment and stamp)
    print(f"  messages of {before} and {after}")
    server.terminate()


def jump(programs, clock):
    def set_clock(moment):
        with open(clock, "w") as file:
            file.write(f"@{moment}\n")

    set_clock("1970-01-01 00:00:10")
    server, send = chatting(programs)
    before = send()
    if not before.startswith("1970-01-01"):
        raise Broken(f"the clock does not stand at 1970: {before}")
    set_clock(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()))
    today = time.strftime("%Y-%m-%d", time.gmtime())
    after = eventually("the clock jumps", lambda: (stamp := send()) >= today and stamp)
    print(f"  messages of {before} and {after}")
    server.terminate()


PROMISES = {"answers": answers, "conversation": conversation, "past": past, "jump": jump}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="")
    parser.add_argument("--prefix", default="")
    parser.add_argument("directory")
    parser.add_argument("promises", nargs="+")
    options = parser.parse_args()
    for promise in options.promises:
        name, _, argument = promise.partition("=")
        try:
            with ExitStack() as stack:
                PROMISES[name](Programs(options, stack), argument)
        except (Broken, OSError, xmlrpc.client.Error) as error:
            sys.exit(f"converse: {promise} is broken for {options.run} {options.directory}: {error}")
        print(f"  {promise}: kept")


if __name__ == "__main__":
    main()
