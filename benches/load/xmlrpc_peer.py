"""What the load bench compares with: the same procedures on Python's own XML-RPC server, with its best settings."""

import collections
import socketserver
import threading
import time
import xmlrpc.server


class Handler(xmlrpc.server.SimpleXMLRPCRequestHandler):
    protocol_version = "HTTP/1.1"  # Keeps connections open.
    disable_nagle_algorithm = True


class Server(socketserver.ThreadingMixIn, xmlrpc.server.SimpleXMLRPCServer):
    daemon_threads = True
    request_queue_size = 1024


class Chat:
    def __init__(self):
        self.lock = threading.Lock()
        self.users = {}
        self.rooms = {}

    def register_user(self, username):
        with self.lock:
            self.users[username] = None
        return f"User {username} registered."

    def create_room(self, room_name):
        with self.lock:
            self.rooms[room_name] = ({}, collections.deque(maxlen=500))
        return f"Room {room_name} created."

    def join_room(self, username, room_name):
        with self.lock:
            members, messages = self.rooms[room_name]
            members[username] = True
            self.users[username] = room_name
            return {"users": list(members), "messages": list(messages)[-50:]}

    def send_message(self, username, room_name, message, recipient=""):
        with self.lock:
            members, messages = self.rooms[room_name]
            if username not in members:
                raise xmlrpc.client.Fault(5, "user is not in this room")
            messages.append(
                {
                    "type": "unicast" if recipient else "broadcast",
                    "origin": username,
                    "destination": recipient,
                    "content": message,
                    "timestamp": time.strftime("%Y-%m-%d %H:%M:%S"),
                }
            )
        return "Message sent."


server = Server(("127.0.0.1", 0), Handler, logRequests=False, allow_none=True)
server.register_instance(Chat())
print("python listening on %s:%d" % server.server_address, flush=True)
server.serve_forever()
