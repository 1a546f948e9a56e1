"""Messages between nbci and a zygote: a length, a JSON document, and file descriptors beside them."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from typing import Any

LENGTH = struct.Struct("!I")
MOST_DESCRIPTORS = 4
CHUNK = 1 << 20


class Gone(Exception):
    """The other side closed the connection."""


def send(connection: socket.socket, document: Any, descriptors: Any = ()) -> None:
    """Send a document; the descriptors stay open here."""
    body = json.dumps(document).encode()
    data = LENGTH.pack(len(body)) + body
    beside = (
        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        if descriptors
        else []
    )
    sent = connection.sendmsg([data], beside)
    if sent < len(data):
        connection.sendall(data[sent:])


def receive(connection: socket.socket) -> tuple[Any, list[int]]:
    """The next document and the descriptors that came with it, which are the caller's to close.

    Raises Gone.
    """
    descriptors = array.array("i")
    room = socket.CMSG_SPACE(MOST_DESCRIPTORS * descriptors.itemsize)
    data, beside, _, _ = connection.recvmsg(LENGTH.size, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    try:
        data += _exactly(connection, LENGTH.size - len(data)) if data else b""
        if not data:
            raise Gone
        return json.loads(_exactly(connection, LENGTH.unpack(data)[0])), list(descriptors)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(min(count, CHUNK))
        if not part:
            raise Gone
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
