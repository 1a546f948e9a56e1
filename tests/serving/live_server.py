"""A server in a process of its own, as a supervisor starts it, and ways to ask it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from nbci.records.codec import plain

if TYPE_CHECKING:
    from nbci.serving.loading import ModelFile
    from nbci.serving.worker import ServerSettings

INFER = "/v2/models/linear/infer"
JSON = {"content-type": "application/json"}


class Server:
    """A server in a process of its own, as a supervisor starts it."""

    def __init__(self, settings: ServerSettings, token: str | None = None) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.set_inheritable(True)
        self.port: int = self._listening.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nbci.serving.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(self._listening.fileno(),),
            encoding="utf-8",
        )
        first = {
            "settings": plain(settings),
            "token": token,
            "socket": self._listening.fileno(),
        }
        self.order(first)
        assert self.answer() == {"ready": True}

    def order(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def switch(self, *files: ModelFile) -> Any:
        self.order({"switch": plain(list(files))})
        return self.answer()

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            text = response.read()
            if response.getheader("content-type") == "application/json":
                return response.status, json.loads(text)
            return response.status, text

    def head_of(self, method: str, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """The status and the headers of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            response.read()
            return response

    def end(self) -> str:
        """End it; what it logged."""
        if self.process.poll() is None:
            self.process.terminate()
        with self.process:
            assert self.process.stderr is not None
            log = self.process.stderr.read()
        self._listening.close()
        return log
