"""A kernel of another language, whose socket drops what finds no room: ZeroMQ's default.

A cell is numbers: how many lines it prints, at how many in a row, with how many milliseconds
between the rows, and how many characters stand behind each line's number.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.session import Session


class FastKernel:
    """Answers on two sockets, as little as a kernel may."""

    def __init__(self, connection: dict[str, Any]) -> None:
        context = zmq.Context()
        self.session = Session(key=connection["key"].encode())
        self.sockets = {name: context.socket(kind) for name, kind in KINDS.items()}
        separator = "-" if connection["transport"] == "ipc" else ":"
        for name, socket in self.sockets.items():
            port = connection[f"{name}_port"]
            socket.bind(f"{connection['transport']}://{connection['ip']}{separator}{port}")
        self.say_on_iopub = self.sockets["iopub"]

    def serve(self) -> None:
        """Answer until asked to end."""
        poller = zmq.Poller()
        for name in ("shell", "control"):
            poller.register(self.sockets[name], zmq.POLLIN)
        while True:
            for socket, _ in poller.poll():
                identities, request = self.session.recv(socket, mode=0)
                if request is not None:
                    self.answer(socket, identities, request)
                    if request["msg_type"] == "shutdown_request":
                        return

    def answer(self, socket: Any, identities: Any, request: dict[str, Any]) -> None:
        self.say("status", {"execution_state": "busy"}, request)
        content: dict[str, Any] = {"status": "ok"}
        if request["msg_type"] == "execute_request":
            self.execute(request)
            content |= {"execution_count": 1, "user_expressions": {}}
        elif request["msg_type"] == "kernel_info_request":
            content |= {"protocol_version": "5.3", "language_info": {"name": "fast"}, "banner": ""}
        reply = request["msg_type"].replace("request", "reply")
        self.session.send(socket, reply, content, parent=request, ident=identities)
        time.sleep(0.3)  # the end of the cell must not be dropped, too
        self.say("status", {"execution_state": "idle"}, request)

    def execute(self, request: dict[str, Any]) -> None:
        lines, in_a_row, pause_milliseconds, width = map(int, request["content"]["code"].split())
        blank = self.session.msg("stream", {"name": "stdout", "text": ""}, parent=request)
        parts = self.session.serialize(blank)
        for start in range(0, lines, in_a_row):
            row = range(start, min(start + in_a_row, lines))
            messages = [self.line(f"{number} {'x' * width}\n", parts) for number in row]
            for (
                message
            ) in messages:  # without a pause, and without a copy: as fast as a kernel in C would
                self.say_on_iopub.send_multipart(message, copy=False)
            time.sleep(pause_milliseconds / 1000)

    def line(self, text: str, parts: list[bytes]) -> list[bytes]:
        """A message that prints `text`, otherwise like `parts`."""
        delimiter, _, header, parent, metadata, _ = parts
        now = time.time()
        date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f"{now % 1:.6f}"[1:] + "Z"
        header = json.dumps(
            {**json.loads(header), "date": date, "msg_id": text.split(maxsplit=1)[0]}
        ).encode()
        content = json.dumps({"name": "stdout", "text": text}).encode()
        signature = self.session.sign([header, parent, metadata, content])
        return [b"stream", delimiter, signature, header, parent, metadata, content]

    def say(self, kind: str, content: dict[str, Any], request: dict[str, Any]) -> None:
        self.session.send(self.say_on_iopub, kind, content, parent=request, ident=kind.encode())


KINDS = {
    "shell": zmq.ROUTER,
    "control": zmq.ROUTER,
    "stdin": zmq.ROUTER,
    "iopub": zmq.PUB,
    "hb": zmq.REP,
}

if __name__ == "__main__":
    FastKernel(json.loads(Path(sys.argv[1]).read_text())).serve()
