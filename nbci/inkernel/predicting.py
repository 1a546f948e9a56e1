"""Calls a notebook's `predict` for a server: arrays come over a comm, and go back over it."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1
TARGET = "nbci.predict"


def start(parent: int) -> None:
    """Answer the server's messages from now on; TypeError where no cell defined `predict`."""
    from IPython import get_ipython

    shell = get_ipython()
    predict = shell.user_ns.get("predict")
    if not callable(predict):
        raise TypeError("no cell defines a function `predict`")
    die_with(parent)
    shell.kernel.comm_manager.register_target(TARGET, opened)


def die_with(parent: int) -> None:
    """Have the system kill this process when the server dies, also by a kill: prctl(2)."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # It died before the call.
    if os.getppid() != parent:
        os._exit(1)


def opened(comm: Any, _: Any) -> None:
    comm.on_msg(lambda message: reply(comm, message))


def reply(comm: Any, message: Any) -> None:
    """Send the answers to one request, or the type of what was raised: never its text."""
    asked = message["content"]["data"]
    # The text of an exception may quote the data, which are nobody's but the client's.
    try:
        answers, buffers = answer(asked, message["buffers"])
    except BaseException as error:  # noqa: BLE001 - user code can raise anything
        comm.send({"id": asked["id"], "raised": type(error).__name__})
    else:
        comm.send({"id": asked["id"], "answers": answers}, buffers=buffers)


def answer(asked: Any, buffers: Any) -> tuple[list[Any], list[bytes]]:
    """Each output that is asked for, described, and the bytes of those that are numbers."""
    from IPython import get_ipython

    predict = get_ipython().user_ns["predict"]
    found = predict(arrays(asked["inputs"], buffers))
    # A model of one output may give it as it is.
    if not isinstance(found, dict):
        found = dict.fromkeys(asked["outputs"][:1], found)
    answers: list[Any] = []
    parts: list[bytes] = []
    for name in asked["outputs"]:
        described, part = tensor(name, found)
        answers.append(described)
        if part is not None:
            parts.append(part)
    return answers, parts


def arrays(described: Any, buffers: Any) -> dict[str, Any]:
    import numpy

    left = list(buffers)
    found = {}
    for each in described:
        if "texts" in each:
            array = numpy.array(each["texts"], dtype=object)
        else:
            # A copy, which `predict` may change: what came is read-only.
            array = numpy.frombuffer(left.pop(0), each["dtype"]).copy()
        found[each["name"]] = array.reshape(each["shape"])
    return found


def tensor(name: str, found: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    import numpy

    # What is missing is told by the server, which knows the signature.
    if name not in found:
        return {"name": name, "missing": True}, None
    array = numpy.asarray(found[name])
    described = {"name": name, "dtype": array.dtype.name, "shape": list(array.shape)}
    if array.dtype.kind in "OSU":
        described["dtype"] = "str"
        described["texts"] = [text_of(each) for each in array.reshape(-1).tolist()]
        return described, None
    return described, array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def text_of(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return str(value)
