"""Messages between nbci and a zygote: a length, a JSON document, and file descriptors with them.

It is sent to zygotes as source, too: standard library only, Python 3.8.
"""

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
    ancillary = []
    if descriptors:
        numbers = array.array("i", descriptors)
        ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers))
    sent = connection.sendmsg([data], ancillary)
    # There is no `sendmsgall`. The descriptors went with the first byte.
    if sent < len(data):
        connection.sendall(data[sent:])


def receive(connection: socket.socket) -> tuple[Any, list[int]]:
    """The next document and the descriptors that came with it, which are the caller's to close.

    Raises Gone.
    """
    descriptors = array.array("i")
    size = descriptors.itemsize
    room = socket.CMSG_SPACE(MOST_DESCRIPTORS * size)
    data, ancillary, _, _ = connection.recvmsg(LENGTH.size, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            # Without what was cut, as in the example of Python's documentation for `recvmsg`.
            descriptors.frombytes(content[: len(content) - len(content) % size])
    try:
        if not data:
            raise Gone
        data += _read_exactly(connection, LENGTH.size - len(data))
        (length,) = LENGTH.unpack(data)
        return json.loads(_read_exactly(connection, length)), list(descriptors)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def _read_exactly(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(min(count, CHUNK))
        if not part:
            raise Gone
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
