"""Asks a zygote for one kernel; the answer is the kernel, or a reason why it is none."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.kernels.zygote import wire
from nbci.kernels.zygote.forked import ForkedProcess
from nbci.kernels.zygote.spawn import connect
from nbci.umask import current_umask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nbci.kernels.zygote.key import Command

LIMITS = tuple(name for name in dir(resource) if name.startswith("RLIMIT_"))
READY_SECONDS = 60.0


class Unavailable(Exception):
    """No kernel can be forked; the message says why. One can still be started."""


class NotForkable(Unavailable):
    """The kernel is none that would be forked: nothing is wrong."""


class Refused(Exception):
    """The zygote imported a package after which nothing should be forked."""

    def __init__(self, message: str, culprit: str) -> None:
        super().__init__(message)
        self.culprit = culprit


class OtherSurroundings(Exception):
    """What the zygote has imported found other surroundings than the kernel would."""

    def __init__(self, variables: Sequence[str], folder: bool, stale: bool) -> None:
        super().__init__(", ".join(variables) or "files")
        self.variables = variables
        self.folder = folder
        self.stale = stale


class ForkRequest(Struct, frozen=True, kw_only=True):
    """The kernel that is wanted, with the surroundings of a process that would be started for it.

    `bare`: nothing may be preloaded, as its code decides first what the imports find. `spare`: it
    may bring a connection of its own.
    """

    command: Command
    env: Mapping[str, str]
    cwd: str
    connection_file: str
    descriptors: tuple[int, int, int]
    preloads: Sequence[str] = ()
    bare: bool = False
    spare: bool = False


class Forked(Struct, frozen=True, kw_only=True):
    """A forked kernel; `connection` when it waited as a spare, and brought its own."""

    process: ForkedProcess
    connection: Mapping[str, Any] | None


def request_fork(folder: Path, request: ForkRequest) -> Forked:
    """A kernel forked from the zygote of this folder, with its sockets bound. Blocks.

    Raises Refused, OtherSurroundings, Unavailable, and what a broken connection raises.
    """
    connection = connect(folder)
    try:
        wire.send(connection, _message(request), request.descriptors)
        answer, descriptors = wire.receive(connection)
        if "otherwise" in answer:
            raise OtherSurroundings(**answer["otherwise"])
        if "refused" in answer:
            raise Refused(answer["refused"], answer["avoid"])
        pid, zygote = int(answer["pid"]), int(answer["zygote"])
        process = ForkedProcess(connection, pid, descriptors[0], parent=zygote)
    except BaseException:
        connection.close()
        raise
    if not process.wait_until_ready(READY_SECONDS):
        process.kill()
        process.wait()
        raise Unavailable("a forked kernel ended before it was ready, or did not come up in time")
    return Forked(process=process, connection=answer["connection"])


def _message(request: ForkRequest) -> dict[str, Any]:
    """The order to fork, as the zygote's `server` reads it.

    A started kernel would inherit umask and limits of this process, not of the zygote.
    """
    return {
        "do": "kernel",
        "argv": request.command.arguments,
        "env": dict(request.env),
        "cwd": request.cwd,
        "umask": current_umask(),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
        "connection_file": request.connection_file,
        "preloads": request.preloads,
        "spare": request.spare,
    }
