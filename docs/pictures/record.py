#!/usr/bin/env python3
"""Records the pictures of README.md and README.pt-BR.md: three machines in one network, and the real programs on real terminals.

    cargo build --release && sudo docs/pictures/record.py

Each machine is a network namespace. All of them are within namespaces of this process, so that nothing is left when it ends. It
needs iproute2 and tmux, and a kernel that lets its caller make namespaces.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
from draw import Screen, picture

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE.parents[1] / "target" / "release"
# A file system that ends with this process, for the names of the machines and the files of their users.
SCRATCH = Path("/run")
TIMEOUT = 30  # seconds
KEY = 0.05  # seconds for each key
COLUMNS, ROWS = 64, 24
ADDRESSES = {"router": "192.168.1.1", "ana-pc": "192.168.1.20", "joao-pc": "192.168.1.21"}

LANGUAGES = {
    "en": {
        "locale": "C.UTF-8",
        "title": "A chat on three machines: binder and server on a router, and two clients that find them without an option",
        "titles": ["the binder", "the chat server", "Ana's client", "João's client"],
        "name?": "User name:",
        "join": "join lobby",
        "joined": "@lobby>",
        "ana": ["Hello João, did the new build go out?", "@joão my lips are sealed", "See you at "],
        "joão": ["Yes ana, ten minutes ago, on all four routers.", "@ana but do not tell Zé yet"],
    },
    "pt": {
        "locale": "pt_BR.UTF-8",
        "title": "Um chat em três máquinas: binder e servidor em um roteador, e dois clientes que os encontram sem opções",
        "titles": ["o binder", "o servidor de chat", "o cliente da Ana", "o cliente do João"],
        "name?": "Nome de usuário:",
        "join": "entrar varanda",
        "joined": "@varanda>",
        "ana": ["Oi João, a versão nova já saiu?", "@joão boca fechada", "Até as "],
        "joão": ["Saiu, ana, há dez minutos, nos quatro roteadores.", "@ana só não conte ao Zé ainda"],
    },
}


def run(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


class Terminal:
    """A terminal on a machine, with a shell: a server of tmux for itself."""

    count = 0

    def __init__(self, machine, locale):
        Terminal.count += 1
        self.machine = machine
        home = SCRATCH / f"home{Terminal.count}"
        home.mkdir()
        self.tmux = ["tmux", "-S", str(home / "tmux"), "-f", "/dev/null"]
        shell = f"hostname {machine}; exec bash --norc --noprofile"
        path = f"{PROGRAMS}:{os.environ['PATH']}"
        # What is typed at the shell is bold.
        prompt = [rf"PS1={machine}$ \[\e[1m\]", r"PS0=\e[0m"]
        given = [f"HOME={home}", f"PATH={path}", f"LANG={locale}", "LC_CTYPE=C.UTF-8", "TERM=tmux-256color", *prompt]
        command = ["ip", "netns", "exec", machine, "unshare", "--uts", "env", "-i", *given, "sh", "-c", shell]
        self.run("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), *command)
        self.run("set", "-g", "status", "off")
        self.wait(f"{machine}$")

    def run(self, *words):
        return run(*self.tmux, *words)

    def wait(self, text):
        """Waits until the screen shows `text`, whatever line breaks are in it."""
        end = time.monotonic() + TIMEOUT
        while "".join(text.split()) not in "".join(self.run("capture-pane", "-p").split()):
            if time.monotonic() > end:
                sys.exit(f"{self.machine} does not show {text!r}:\n{self.run('capture-pane', '-p')}")
            time.sleep(0.02)

    def keys(self, text):
        for key in text:
            self.run("send-keys", "-l", key)
            time.sleep(KEY)

    def line(self, text):
        self.keys(text)
        self.run("send-keys", "Enter")

    def screen(self, title, shows_cursor):
        lines = self.run("capture-pane", "-e", "-p").rstrip().split("\n")
        x, y = self.run("display-message", "-p", "#{cursor_x} #{cursor_y}").split()
        title = f"{self.machine}, {ADDRESSES[self.machine]}: {title}"
        return Screen(title, COLUMNS, lines, (int(x), int(y)) if shows_cursor else None)

    def end(self):
        self.run("kill-server")


def wire():
    """Makes the machines, and joins them as a switch does."""
    run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
    run("ip", "link", "set", "br0", "up")
    for number, (machine, address) in enumerate(ADDRESSES.items()):
        run("ip", "netns", "add", machine)
        run("ip", "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", machine)
        run("ip", "link", "set", f"port{number}", "master", "br0", "up")
        run("ip", "-n", machine, "addr", "add", f"{address}/24", "dev", "eth0")
        run("ip", "-n", machine, "link", "set", "lo", "up")
        run("ip", "-n", machine, "link", "set", "eth0", "up")


def converse(binder, server, ana, joao, words):
    """Does what strangers do in their first minutes. Returns the seconds until two of them have talked."""
    start = time.monotonic()
    binder.line("binder --listen 0.0.0.0:5000")
    binder.wait("announced as")
    server.line("server --listen 0.0.0.0:9000")
    server.wait("registered at the binder")
    for client, name in (ana, "ana"), (joao, "joão"):
        client.line("client")
        client.wait(words["name?"])
        client.line(name)
        client.wait(f"{name}>")
        client.line(words["join"])
        client.wait(words["joined"])
    # Each turn is seen by the other before the next one.
    turns = [(ana, joao, words["ana"][0]), (joao, ana, words["joão"][0])]
    turns += [(joao, ana, words["joão"][1]), (ana, joao, words["ana"][1])]
    for number, (speaker, listener, text) in enumerate(turns):
        speaker.line(text)
        listener.wait(text.removeprefix("@ana ").removeprefix("@joão "))
        if number == 1:
            took = time.monotonic() - start
    ana.keys(words["ana"][2])
    return took


def record(language, words):
    machines = ["router", *ADDRESSES]
    terminals = [Terminal(machine, words["locale"]) for machine in machines]
    took = converse(*terminals, words)
    screens = [
        terminal.screen(title, terminal is terminals[2]) for terminal, title in zip(terminals, words["titles"])
    ]
    path = HERE / f"{language}.svg"
    path.write_text(picture(words["title"], [screens[:2], screens[2:]]))
    print(f"{path.name}: both had talked {took:.0f} s after the first key")
    for terminal in terminals:
        terminal.end()


if __name__ == "__main__":
    if "--inside" not in sys.argv:
        namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--map-root-user"]
        os.execvp("unshare", ["unshare", *namespaces, sys.executable, __file__, "--inside"])
    run("mount", "-t", "tmpfs", "tmpfs", SCRATCH)
    wire()
    for language, words in LANGUAGES.items():
        record(language, words)
