"""The original chat project, as far as its peers can tell: binder, server and client.

    original.py binder [--listen HOST:PORT]
    original.py server [--listen HOST:PORT] [--binder HOST:PORT]
    original.py client [--binder HOST:PORT]

It keeps the habits that a peer has to live with: HTTP/1.0, procedures registered and looked up one by one without a
lease, refusals as plain strings instead of faults, messages without an id that are stamped to the second and kept for
ever, and a client that asks every 2 seconds for what is later, as text, than the last message it has seen.
Python 3.8 or newer, standard library only.
"""

import argparse
import sys
import threading
from datetime import datetime
from http.client import HTTPException
from socketserver import ThreadingMixIn
from xmlrpc.client import Error, ServerProxy
from xmlrpc.server import SimpleXMLRPCServer

POLL_SECONDS = 2
JOIN_MESSAGES = 50
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


class RpcServer(ThreadingMixIn, SimpleXMLRPCServer):
    daemon_threads = True

    def __init__(self, address, functions):
        super().__init__(address, logRequests=False, allow_none=True)
        for function in functions:
            self.register_function(function)

    def run(self, title):
        print(f"{title} listening on {self.server_address[0]}:{self.server_address[1]}", flush=True)
        self.serve_forever()


class Binder:
    def __init__(self):
        self.procedures = {}

    def register_procedure(self, procedure_name, address, port):
        self.procedures[procedure_name] = (address, port)
        return f"Procedure {procedure_name} registered at {address}:{port}"

    def lookup_procedure(self, procedure_name):
        return self.procedures.get(procedure_name)

    def functions(self):
        return [self.register_procedure, self.lookup_procedure]


class Chat:
    def __init__(self):
        self.users = set()
        self.rooms = {}

    def register_user(self, username):
        if username in self.users:
            return f"Error: the username {username} is already in use"
        self.users.add(username)
        return f"User {username} registered"

    def unregister_user(self, username):
        if username not in self.users:
            return f"Error: there is no user {username}"
        self._leave(username)
        self.users.discard(username)
        return f"User {username} unregistered"

    def create_room(self, room_name):
        if room_name in self.rooms:
            return f"Error: the room {room_name} already exists"
        self.rooms[room_name] = {"users": [], "messages": []}
        return f"Room {room_name} created"

    def join_room(self, username, room_name):
        if username not in self.users:
            return f"Error: there is no user {username}"
        if room_name not in self.rooms:
            return f"Error: there is no room {room_name}"
        self._leave(username)
        room = self.rooms[room_name]
        room["users"].append(username)
        return {"users": room["users"], "messages": self._visible(username, room)[-JOIN_MESSAGES:]}

    def send_message(self, username, room_name, message, recipient=None):
        refusal = self._refusal(username, room_name)
        if refusal:
            return refusal
        room = self.rooms[room_name]
        if recipient and recipient not in room["users"]:
            return f"Error: {recipient} is not in the room {room_name}"
        room["messages"].append({
            "type": "unicast" if recipient else "broadcast",
            "origin": username,
            "destination": recipient or "",
            "content": message,
            "timestamp": datetime.now().strftime(TIME_FORMAT),
        })
        return "Message sent"

    def receive_messages(self, username, room_name):
        return self._refusal(username, room_name) or self._visible(username, self.rooms[room_name])

    def receive_new_messages(self, username, room_name, last_timestamp):
        refusal = self._refusal(username, room_name)
        if refusal:
            return refusal
        visible = self._visible(username, self.rooms[room_name])
        return [message for message in visible if message["timestamp"] > last_timestamp]

    def list_rooms(self):
        return list(self.rooms)

    def list_users(self, room_name):
        if room_name not in self.rooms:
            return f"Error: there is no room {room_name}"
        return self.rooms[room_name]["users"]

    def functions(self):
        return [
            self.register_user,
            self.unregister_user,
            self.create_room,
            self.join_room,
            self.send_message,
            self.receive_messages,
            self.receive_new_messages,
            self.list_rooms,
            self.list_users,
        ]

    def _leave(self, username):
        for room in self.rooms.values():
            if username in room["users"]:
                room["users"].remove(username)

    def _refusal(self, username, room_name):
        if room_name not in self.rooms:
            return f"Error: there is no room {room_name}"
        if username not in self.rooms[room_name]["users"]:
            return f"Error: {username} is not in the room {room_name}"
        return None

    @staticmethod
    def _visible(username, room):
        return [
            message
            for message in room["messages"]
            if message["type"] == "broadcast" or username in (message["origin"], message["destination"])
        ]


class Client:
    def __init__(self, binder_address):
        self.binder_url = url(binder_address)
        self.username = None
        self.room = None
        self.last_timestamp = None
        self.lock = threading.Lock()

    def run(self):
        self.username = self.register()
        threading.Thread(target=self.poll, daemon=True).start()
        commands = {
            "create": self.create,
            "join": self.join,
            "send": self.send,
            "list": self.list,
            "users": self.list_users,
        }
        try:
            while True:
                command = ask("Command (create, join, send, list, users, exit):").strip()
                if command == "exit":
                    break
                if command in commands:
                    commands[command]()
                else:
                    show(f"Unknown command: {command}")
        finally:
            show(self.call("unregister_user", self.username))

    def register(self):
        while True:
            username = ask("Username:")
            answer = self.call("register_user", username)
            show(answer)
            if answer is not None and not answer.startswith("Error"):
                return username

    def create(self):
        show(self.call("create_room", ask("Room name:")))

    def join(self):
        name = ask("Room name:")
        answer = self.call("join_room", self.username, name)
        if not isinstance(answer, dict):
            show(answer)
            return
        messages = answer["messages"]
        show(f"Joined {name}, users: {', '.join(answer['users'])}")
        for message in messages:
            show_message(message)
        with self.lock:
            self.room = name
            self.last_timestamp = messages[-1]["timestamp"] if messages else datetime.now().strftime(TIME_FORMAT)

    def send(self):
        message = ask("Message:")
        recipient = ask("Recipient (empty for all):")
        show(self.call("send_message", self.username, self.room or "", message, recipient or None))

    def list(self):
        rooms = self.call("list_rooms")
        if rooms is not None:
            show(f"Rooms: {', '.join(rooms)}")

    def list_users(self):
        users = self.call("list_users", ask("Room name:"))
        show(f"Users: {', '.join(users)}" if isinstance(users, list) else users)

    def poll(self):
        pause = threading.Event()
        while not pause.wait(POLL_SECONDS):
            with self.lock:
                if self.room is None:
                    continue
                messages = self.call("receive_new_messages", self.username, self.room, self.last_timestamp)
                if not isinstance(messages, list):
                    show(messages)
                    continue
                for message in messages:
                    self.last_timestamp = message["timestamp"]
                    if message["origin"] != self.username:
                        show_message(message)

    def call(self, name, *parameters):
        """Calls the procedure where the binder says that it is; None after showing why that failed."""
        try:
            place = ServerProxy(self.binder_url, allow_none=True).lookup_procedure(name)
            if place is None:
                show(f"Error: nobody offers the procedure {name}")
                return None
            return getattr(ServerProxy(url(place), allow_none=True), name)(*parameters)
        except (Error, HTTPException, OSError) as error:
            show(f"Error: {name}: {error}")
            return None


def ask(prompt):
    """The next line of standard input. The prompt ends its line so that messages start on one of their own."""
    show(prompt)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def show(text):
    """Prints one line at once, whichever thread says it. None has been explained already."""
    if text is not None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def show_message(message):
    to = " (private)" if message["type"] == "unicast" else ""
    show(f"[{message['timestamp']}] {message['origin']}{to}: {message['content']}")


def url(address):
    return f"http://{address[0]}:{address[1]}"


def host_port(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def serve(address, functions, binder=None):
    server = RpcServer(address, functions)
    if binder is not None:
        registry = ServerProxy(url(binder), allow_none=True)
        for function in functions:
            registry.register_procedure(function.__name__, *server.server_address)
    return server


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["binder", "server", "client"])
    parser.add_argument("--listen", type=host_port)
    parser.add_argument("--binder", type=host_port, default=("127.0.0.1", 5000))
    options = parser.parse_args()
    try:
        if options.part == "binder":
            serve(options.listen or ("127.0.0.1", 5000), Binder().functions()).run("binder")
        elif options.part == "server":
            serve(options.listen or ("127.0.0.1", 9000), Chat().functions(), options.binder).run("server")
        else:
            Client(options.binder).run()
    except (EOFError, KeyboardInterrupt):
        pass
    except (Error, HTTPException, OSError) as error:
        sys.exit(f"{options.part}: {error}")


if __name__ == "__main__":
    main()
