"""A SimpleXMLRPCServer whose procedures answer every type, a fault, late, and at length."""

import threading
from datetime import datetime
from xmlrpc.client import Binary, Fault
from xmlrpc.server import SimpleXMLRPCServer


def echo(value):
    return value


def types():
    return {
        "int": -42,
        "long": 2**31 - 1,
        "true": True,
        "string": "ação <&> 日本 😀",
        "empty": "",
        "double": -0.5,
        "date": datetime(2024, 2, 29, 23, 59, 58),
        "bytes": Binary(bytes(range(256))),
        "array": [1, "two", [], {}],
        "nil": None,
    }


def refuse(code, text):
    raise Fault(code, text)


def never():
    threading.Event().wait()


def much(size):
    return "x" * size


server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False, allow_none=True)
for function in [echo, types, refuse, never, much]:
    server.register_function(function)
print(f"python listening on 127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
