"""Clients of Socket.IO that others wrote, all with the same few verbs: npm's in Node and in Chromium, and python-socketio."""

import itertools
import json
import queue
import subprocess
import threading
from pathlib import Path

import socketio

from peers import PATIENCE_S

HERE = Path(__file__).parent
LIBRARY = HERE.parent / "node_modules/socket.io-client/dist/socket.io.js"

TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}
names = itertools.count(1)


class Inbox:
    """What a client reports, a queue for each kind, so that no test has to know in which order kinds arrive."""

    def __init__(self):
        self.queues = {kind: queue.Queue() for kind in ("connect", "disconnect", "connect_error", "buffered", "event")}

    def put(self, kind, value):
        self.queues[kind].put(value)

    def take(self, kind, seconds=PATIENCE_S):
        try:
            return self.queues[kind].get(timeout=seconds)
        except queue.Empty:
            waiting = {kind: list(one.queue) for kind, one in self.queues.items() if one.qsize()}
            raise AssertionError(f"no {kind} came in time; of other kinds: {waiting}") from None

    def waiting(self, kind):
        return list(self.queues[kind].queue)


class Client:
    """What both kinds of client can do. `event()` is (name, arguments), positions and all."""

    inbox: Inbox

    def connected(self, seconds=PATIENCE_S):
        return self.inbox.take("connect", seconds)

    def disconnected(self, seconds=PATIENCE_S):
        return self.inbox.take("disconnect", seconds)

    def refused(self, seconds=PATIENCE_S):
        return self.inbox.take("connect_error", seconds)

    def event(self, seconds=PATIENCE_S):
        return self.inbox.take("event", seconds)

    def heard(self):
        """What has come and was not looked at yet."""
        return self.inbox.waiting("event")


# ---- npm's


class Agent:
    """One process of `socketio_peer.mjs`, with as many sockets as are opened in it."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(["node", str(HERE / "socketio_peer.mjs"), *arguments], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.inboxes, self.replies, self.page_errors = {}, {}, []
        self.numbers, self.ready = itertools.count(1), threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        assert self.ready.wait(60), "the client did not start"

    def _listen(self):
        for line in self.process.stdout:
            unit = json.loads(line)
            if "ready" in unit:
                self.ready.set()
            elif "reply" in unit:
                self.replies[unit["reply"]].put(unit)
            elif "page" in unit:
                self.page_errors.append(unit["page"])
            elif unit["socket"] in self.inboxes:
                value = unit
                if unit["on"] == "event":
                    value = (unit["event"], from_wire(unit["args"]))
                self.inboxes[unit["socket"]].put(unit["on"], value)

    def do(self, verb, seconds=PATIENCE_S, **command):
        number = next(self.numbers)
        self.replies[number] = queue.Queue()
        self.process.stdin.write(json.dumps({"verb": verb, "number": number, **command}) + "\n")
        self.process.stdin.flush()
        try:
            reply = self.replies[number].get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no answer to {verb} {command} in time") from None
        finally:
            del self.replies[number]
        assert "error" not in reply, reply["error"]
        return reply["value"]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class JsClient(Client):
    """A socket of socket.io-client in a namespace."""

    def __init__(self, agent, url, namespace="/", transports=None, beside=None, **options):
        self.agent, self.name, self.inbox = agent, f"s{next(names)}", Inbox()
        agent.inboxes[self.name] = self.inbox
        options = {"forceNew": True, "reconnectionDelay": 30, "reconnectionDelayMax": 100, "randomizationFactor": 0, **options}
        if transports:
            options["transports"] = transports
        self.do("open", url=url, namespace=namespace, options=options, beside=beside and beside.name)

    def do(self, verb, **command):
        return self.agent.do(verb, socket=self.name, **command)

    def emit(self, *args, volatile=False):
        self.do("emit", args=to_wire(args), volatile=volatile)

    def ask(self, *args):
        """Emits with an acknowledgement, and returns the first thing in it."""
        answer = from_wire(self.do("ask", args=to_wire(args)))
        assert len(answer) == 1, answer
        return answer[0]

    def burst(self, many):
        """Emits all of them at once; what each was answered."""
        return [answer[0] for answer in from_wire(self.do("burst", many=to_wire(many)))]

    def state(self):
        return self.do("state")

    def drop(self):
        """The connection ends beneath the client, which comes back by itself."""
        self.do("drop")

    def disconnect(self):
        self.do("disconnect")

    def close(self):
        if self.agent.process.poll() is None:
            self.do("end")
        self.agent.inboxes.pop(self.name, None)


def to_wire(value):
    if isinstance(value, bytes):
        return {"$hex": value.hex()}
    if isinstance(value, dict):
        return {key: to_wire(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_wire(item) for item in value]
    return value


def from_wire(value):
    if isinstance(value, dict):
        if set(value) == {"$hex"}:
            return bytes.fromhex(value["$hex"])
        return {key: from_wire(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_wire(item) for item in value]
    return value


# ---- python-socketio


class PythonClient(Client):
    """A client of python-socketio, its synchronous one."""

    def __init__(self, url, namespace="/", transports=None, auth=None):
        self.inbox, self.namespace = Inbox(), namespace
        self.client = socketio.Client(reconnection=False, handle_sigint=False)
        self.client.on("connect", lambda: self.inbox.put("connect", {"id": self.client.get_sid(namespace)}), namespace=namespace)
        self.client.on("disconnect", lambda reason=None: self.inbox.put("disconnect", {"reason": reason}), namespace=namespace)
        self.client.on("connect_error", lambda error=None: self.inbox.put("connect_error", error if isinstance(error, dict) else {"message": error}), namespace=namespace)
        self.client.on("*", lambda event, *args: self.inbox.put("event", (event, list(args))), namespace=namespace)
        self.client.connect(url, namespaces=[namespace], transports=transports, auth=auth, wait=False)

    def emit(self, *args):
        self.client.emit(args[0], tuple(args[1:]), namespace=self.namespace)

    def ask(self, *args):
        return self.client.call(args[0], tuple(args[1:]), namespace=self.namespace, timeout=PATIENCE_S)

    def state(self):
        return {"id": self.client.get_sid(self.namespace), "connected": self.client.connected, "transport": self.client.transport()}

    def disconnect(self):
        self.client.disconnect()

    def close(self):
        self.client.disconnect()
