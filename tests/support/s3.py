"""An S3 server of a test's own, and a way to it that can be cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "team"


@contextlib.contextmanager
def s3_server() -> Iterator[int]:
    """A server with an empty bucket on this machine; its port."""
    import boto3  # type: ignore[import-untyped]  # it has no types
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    try:
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield port
    finally:
        server.stop()


def s3_settings(port: int, prefix: str) -> tuple[str, str]:
    """The address of a folder in the bucket, and the DVC configuration that leads there."""
    settings = {
        "endpointurl": f"http://127.0.0.1:{port}",
        "region": "us-east-1",
        "access_key_id": "a",
        "secret_access_key": "b",
        "read_timeout": "5",
        "connect_timeout": "5",
    }
    return f"s3://{BUCKET}/{prefix}", "".join(
        f"    {key} = {value}\n" for key, value in settings.items()
    )


class Wire:
    """A port that leads to another one until so many bytes went up through it; then every
    connection is cut.
    """

    def __init__(self, target: int, allowed_bytes: int) -> None:
        self.left = allowed_bytes
        self.holds = threading.Event()
        """Something was sent since it was stopped."""
        self._flows = threading.Event()
        self._flows.set()
        self._target = target
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def mend(self, allowed_bytes: int) -> None:
        """Let so many more bytes through."""
        self.left = allowed_bytes
        self._flows.set()

    def stop(self) -> None:
        """Let nothing through from now on, and cut nothing either, until it is mended."""
        self.holds.clear()
        self._flows.clear()

    def close(self) -> None:
        """End it."""
        self._flows.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            if self.left <= 0:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            self._open += [near, far]
            for source, sink, counts in ((near, far, True), (far, near, False)):
                threading.Thread(
                    target=self._pass_on, args=(source, sink, counts), daemon=True
                ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if not self._flows.is_set():
                    self.holds.set()
                self._flows.wait()
                if counts:
                    self.left -= len(data)
                    if self.left <= 0:
                        break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
