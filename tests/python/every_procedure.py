"""Calls every procedure of a binder or of a chat server with nothing but the standard library.

    every_procedure.py binder|server HOST:PORT

Each call is held against `system.methodSignature`, in its parameters and in its answer.
"""

import sys
from xmlrpc.client import Fault, MultiCall, ServerProxy

WRONG_PARAMETERS = -32602
NO_SUCH_PROCEDURE = -32601
TYPES = {str: "string", int: "int", bool: "boolean", list: "array", dict: "struct", type(None): "nil"}
# A value of another type for each type, to be refused.
OTHER = {"string": 7, "int": "seven", "boolean": "yes", "array": "one", "struct": "member", "nil": 7}


class Checked:
    """Calls procedures and remembers which; every call and answer must fit a signature of the procedure."""

    def __init__(self, url):
        self.proxy = ServerProxy(url, allow_none=True)
        self.called = set()

    def __call__(self, name, *parameters):
        answer = getattr(self.proxy, name)(*parameters)
        self.called.add(name)
        signature = [TYPES[type(value)] for value in (answer, *parameters)]
        signatures = self.proxy.system.methodSignature(name)
        assert signature in signatures, f"{name} was called as {signature}, but says {signatures}"
        return answer

    def refuses(self, code, name, *parameters):
        try:
            answer = getattr(self.proxy, name)(*parameters)
        except Fault as fault:
            assert fault.faultCode == code, f"{name}{parameters}: expected fault {code}, got {fault}"
            assert fault.faultString, f"{name}{parameters}: fault {code} without a text"
        else:
            raise AssertionError(f"{name}{parameters}: expected fault {code}, got {answer!r}")

    def introspection(self):
        """What the procedures say of themselves is complete, and parameters that do not fit it are refused."""
        names = self("system.listMethods")
        assert len(names) == len(set(names)), names
        for name in names:
            assert self("system.methodHelp", name).strip(), f"{name} has no help"
            signatures = self("system.methodSignature", name)
            assert signatures, f"{name} has no signature"
            longest = max(signatures, key=len)[1:]
            shortest = min(signatures, key=len)[1:]
            self.refuses(WRONG_PARAMETERS, name, *["one", *[sample(kind) for kind in longest]])
            if shortest:
                self.refuses(WRONG_PARAMETERS, name, *[sample(kind) for kind in shortest[1:]])
            for place, kind in enumerate(longest):
                parameters = [sample(kind) for kind in longest]
                parameters[place] = OTHER[kind]
                self.refuses(WRONG_PARAMETERS, name, *parameters)
        for name in ["system.methodHelp", "system.methodSignature"]:
            self.refuses(NO_SUCH_PROCEDURE, name, "no_such_procedure")
        self.refuses(NO_SUCH_PROCEDURE, "no_such_procedure")
        capabilities = self("system.getCapabilities")
        for name in ["xmlrpc", "introspection", "system.multicall", "faults_interop", "nil"]:
            assert capabilities[name]["specUrl"].startswith("http://"), capabilities
            assert isinstance(capabilities[name]["specVersion"], int), capabilities

    def multicall(self, name):
        """Answers and faults of a batch stay in the order of its calls; a batch in a batch is a fault of that call."""
        batch = MultiCall(self.proxy)
        batch.system.methodHelp(name)
        batch.no_such_procedure()
        batch.system.multicall([])
        batch.system.listMethods()
        answers = batch()
        assert answers[0] == self.proxy.system.methodHelp(name)
        assert name in answers[3]
        for refused in [1, 2]:
            try:
                answer = answers[refused]
            except Fault:
                pass
            else:
                raise AssertionError(f"expected a fault, got {answer!r}")
        self("system.multicall", [{"methodName": "system.listMethods", "params": []}])

    def complete(self):
        forgotten = set(self.proxy.system.listMethods()) - self.called
        assert not forgotten, f"never called: {forgotten}"


def sample(kind):
    return {"string": "sample", "int": 1, "boolean": True, "array": [], "struct": {}, "nil": None}[kind]


def binder(call):
    assert call("lookup_procedure", "hello") is None
    assert call("register_procedure", "hello", "127.0.0.1", 4000)
    assert call("lookup_procedure", "hello") == ["127.0.0.1", 4000]
    assert call("register_service", "one", "127.0.0.1", 4001, ["hello", "bye"], 10**6) == 3600
    assert call("register_service", "one", "127.0.0.1", 4001, ["hello", "bye"], 60) == 60
    assert call("lookup_procedure", "hello") == ["127.0.0.1", 4001]
    rows = {(row["name"], row["port"]): row for row in call("list_procedures")}
    assert set(rows) == {("hello", 4000), ("hello", 4001), ("bye", 4001)}, rows
    for row in rows.values():
        assert set(row) == {"name", "address", "port", "instance", "lease_remaining", "group"}, row
    assert rows["hello", 4000]["instance"] is None and rows["hello", 4000]["lease_remaining"] is None
    assert rows["hello", 4001]["instance"] == "one" and 0 < rows["hello", 4001]["lease_remaining"] <= 60
    assert {row["group"] for row in rows.values()} == {""}
    for instance, port in [("two", 4002), ("three", 4003)]:
        assert call("register_service", instance, "127.0.0.1", port, ["chat"], 60, "a-group") == 60
    turns = [call("lookup_procedure", "chat")[1] for _ in range(4)]
    assert turns in ([4002, 4003] * 2, [4003, 4002] * 2), turns
    assert {row["group"] for row in call("list_procedures") if row["name"] == "chat"} == {"a-group"}
    assert call("unregister_service", "one") is True
    assert call("unregister_service", "one") is False
    assert call("lookup_procedure", "hello") == ["127.0.0.1", 4000]
    assert call("lookup_procedure", "bye") is None
    call.multicall("lookup_procedure")


def server(call):
    for name in ["alice", "bob", "carol"]:
        assert call("register_user", name)
    call.refuses(1, "register_user", "alice")
    call.refuses(2, "unregister_user", "nobody")
    call.refuses(7, "register_user", "")
    assert call("list_rooms") == []
    assert call("create_room", "lobby")
    call.refuses(4, "create_room", "lobby")
    assert call("list_rooms") == ["lobby"]
    call.refuses(3, "join_room", "alice", "nowhere")
    call.refuses(2, "join_room", "nobody", "lobby")
    joined = call("join_room", "alice", "lobby")
    room_id = joined.pop("room_id")
    assert joined == {"users": ["alice"], "messages": [], "last_id": 0} and len(room_id) == 16
    call.refuses(5, "send_message", "bob", "lobby", "from outside", None)
    call.refuses(5, "receive_messages", "bob", "lobby")
    call("join_room", "bob", "lobby")
    call("join_room", "carol", "lobby")
    assert sorted(call("list_users", "lobby")) == ["alice", "bob", "carol"]

    assert call("send_message", "alice", "lobby", "to all")
    assert call("send_message", "alice", "lobby", "to all, with nil", None)
    assert call("send_message", "alice", "lobby", "to all, with an empty name", "")
    assert call("send_message", "alice", "lobby", "to bob", "bob")
    call.refuses(6, "send_message", "alice", "lobby", "to nobody", "nobody")

    kept = call("receive_messages", "bob", "lobby")
    assert [message["id"] for message in kept] == [1, 2, 3, 4], kept
    for message in kept:
        assert set(message) == {"id", "type", "origin", "destination", "content", "timestamp", "time"}, message
    assert [message["type"] for message in kept] == ["broadcast"] * 3 + ["unicast"], kept
    assert [message["destination"] for message in kept] == ["", "", "", "bob"], kept
    stamps = [message["timestamp"] for message in kept]
    assert stamps == sorted(set(stamps)), stamps
    assert call("receive_messages", "alice", "lobby") == kept
    assert call("receive_messages", "carol", "lobby") == kept[:3]

    assert call("receive_new_messages", "bob", "lobby", stamps[1]) == kept[2:]
    assert call("receive_new_messages", "carol", "lobby", stamps[2]) == []
    assert call("receive_new_messages", "bob", "lobby", "2000-01-01 00:00:00") == kept

    assert call("wait_messages", "bob", "lobby", 2, 60) == {"messages": kept[2:], "last_id": 4, "missed": 0, "room_id": room_id}
    nothing = call("wait_messages", "carol", "lobby", 4, 0)
    assert nothing == {"messages": [], "last_id": 4, "missed": 0, "room_id": room_id}, nothing

    assert call("leave_room", "carol")
    for _ in range(2):
        assert call("send_message", "bob", "lobby", "once", "", "a-key")
    again = call("wait_messages", "bob", "lobby", 4, 0)["messages"]
    assert [(message["content"], message["key"]) for message in again] == [("once", "a-key")]
    call.refuses(8, "send_message", "bob", "lobby", "x", "", "k" * 65)
    call.refuses(5, "wait_messages", "carol", "lobby", 0, 0)
    assert call("unregister_user", "bob")
    assert call("list_users", "lobby") == ["alice"]

    text = "ação <&> ]]> \u00a0 日本 😀"
    call("send_message", "alice", "lobby", text)
    assert call("receive_messages", "alice", "lobby")[-1]["content"] == text

    batch = MultiCall(call.proxy)
    batch.send_message("alice", "lobby", "one of many")
    batch.create_room("lobby")
    batch.wait_messages("alice", "lobby", 0, 0)
    batch.list_rooms()
    answers = batch()
    assert answers[0] and answers[3] == ["lobby"]
    for place in [1, 2]:
        try:
            answer = answers[place]
        except Fault as fault:
            assert place != 1 or fault.faultCode == 4, fault
        else:
            raise AssertionError(f"expected a fault, got {answer!r}")
    call.multicall("send_message")


def main():
    part, address = sys.argv[1:]
    for path in ["/", "/RPC2"]:
        assert ServerProxy(f"http://{address}{path}").system.listMethods()
    call = Checked(f"http://{address}/")
    {"binder": binder, "server": server}[part](call)
    call.introspection()
    call.complete()


main()
