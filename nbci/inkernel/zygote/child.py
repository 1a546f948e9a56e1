"""What a forked process does to become a kernel, and how it ends."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import logging
import os
import resource
import signal
import sys
import threading
import time
from typing import Any

from _nbci_zygote import wire  # type: ignore[import-not-found]  # it is there where this runs

MARKER = b"NBCI_KERNEL="
PR_SET_PDEATHSIG = 1
CLOSE_SECONDS = 0.1

USUAL = ["--HistoryManager.hist_file=:memory:"]
"""How nbci, nbclient and papermill start a kernel, but for its connection."""


def detach(parent: int) -> None:
    """Become the leader of a session that dies with the zygote."""
    import ctypes

    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(
            number, signal.SIG_DFL if number in (signal.SIGCHLD, signal.SIGTERM) else signal.SIG_IGN
        )
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging._startTime = type(logging._startTime)(  # type: ignore[attr-defined]  # not announced, but there
        time.time_ns() if isinstance(logging._startTime, int) else time.time()  # type: ignore[attr-defined]
    )


def take_descriptors(descriptors: list[int]) -> None:
    """Make these the standard streams of a process whose Python streams do not exist yet."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = sys.__stdin__ = _stream(sys.__stdin__, 0, "r")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(sys.__stdout__, 1, "w")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(sys.__stderr__, 2, "w")  # type: ignore[misc]


def _stream(before: Any, number: int, mode: str) -> Any:
    """A stream as the interpreter made it for the zygote, which has the same settings."""
    raw = open(number, mode + "b", 0 if before.write_through else -1, closefd=False)
    line = before.line_buffering or (mode == "w" and os.isatty(number))
    return io.TextIOWrapper(raw, before.encoding, before.errors, None, line, before.write_through)


def replace_descriptors(descriptors: list[int]) -> None:
    """Make these the standard streams of a kernel that already captures its own."""
    os.dup2(descriptors[0], 0)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        copy = getattr(stream, "_original_stdstream_copy", None)
        os.dup2(descriptors[number], number if copy is None else copy)
    for descriptor in descriptors:
        os.close(descriptor)


def take_surroundings(request: dict[str, Any]) -> None:
    """Environment, folder, umask and limits of whoever asked."""
    take_environment(request["env"])
    os.umask(request["umask"])
    for name, limits in request["limits"].items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), tuple(limits))
    os.chdir(request["cwd"])
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile.tempdir = None  # type: ignore[attr-defined]  # found anew, with this environment


def take_environment(env: dict[str, str]) -> None:
    ours = dict(env, JPY_PARENT_PID=str(os.getppid()))
    backend = os.environ.get("MPLBACKEND")
    if backend and "matplotlib_inline" in backend:
        ours.setdefault("MPLBACKEND", backend)  # as a kernel sets it for itself
    for name in [name for name in os.environ if name not in ours]:
        del os.environ[name]
    for name, value in ours.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    if "TZ" in ours:
        time.tzset()
    _show_marker(ours.get("NBCI_KERNEL", ""))


def _show_marker(value: str) -> None:
    """Write the marker where others look for it: a fork shows the environment that its parent was
    started with.
    """
    import ctypes

    try:
        with open("/proc/self/environ", "rb") as file:
            offset = (b"\0" + file.read()).find(b"\0" + MARKER)
        with open("/proc/self/stat", "rb") as file:
            start = int(file.read().rpartition(b")")[2].split()[47])
        if offset >= 0 and len(value) == 32:
            ctypes.memmove(start + offset + len(MARKER), value.encode(), len(value))
    except (OSError, ValueError, IndexError):
        pass


def ordered(
    argv: list[str], link: Any, request: dict[str, Any], descriptors: list[int], begin: Any
) -> Any:
    """A kernel for whoever asked for it."""
    take_descriptors(descriptors)
    take_surroundings(request)
    app = make_app(argv)
    begin(request)
    wire.send(link, {"plain": is_plain(app)})
    return app


def spare(argv: list[str], link: Any, begin: Any) -> Any:
    """A kernel that waits for an order, and takes it."""
    quiet = os.open(os.devnull, os.O_RDWR)
    take_descriptors([os.dup(quiet), os.dup(quiet), os.dup(quiet)])
    os.close(quiet)
    app = make_app(argv)
    link.settimeout(None)
    wire.send(link, {"plain": is_plain(app), "offer": connection_of(app)})
    try:
        request, descriptors = wire.receive(link)
    except (wire.Gone, OSError):
        os._exit(0)
    replace_descriptors(descriptors)
    take_surroundings(request)
    hand_over(app, request)
    begin(request)
    wire.send(link, {"taken": True})
    return app


def rehearse() -> None:
    """Do in the zygote what is the same in every kernel: read the usual arguments, compile regular
    expressions.
    """
    from ipykernel.kernelapp import IPKernelApp
    from IPython.core.inputtransformer2 import TransformerManager

    transformer: Any = TransformerManager
    transformer().check_complete(transformer().transform_cell("1 + 1\n"))
    IPKernelApp.instance().parse_command_line(USUAL)


def make_app(argv: list[str]) -> Any:
    """An initialised kernel, which does not answer yet."""
    from ipykernel.kernelapp import IPKernelApp

    sys.argv = ["ipykernel_launcher", *argv]
    os.environ["JPY_PARENT_PID"] = str(os.getppid())
    connection, others = split(argv)
    if others != USUAL:
        IPKernelApp.clear_instance()
    app: Any = IPKernelApp.instance()
    app.parent_handle = os.getppid()  # the default was read from the environment before the fork
    if others == USUAL:
        app.parse_command_line = lambda _: _add_connection(app, argv, connection)
    app.initialize(argv)
    app.__dict__.pop("parse_command_line", None)
    atexit.unregister(app.close)  # called at the end, under a time limit
    return app


def split(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """The arguments that say how the kernel is reached, by the names of their settings, and the
    others.
    """
    found, others, place = {}, [], 0
    while place < len(argv):
        name, equals, value = argv[place].partition("=")
        if name == "-f" and not equals and place + 1 < len(argv):
            place += 1
            found["connection_file"] = argv[place]
        elif name in ("--transport", "--ip") and equals:
            found[name[2:]] = value
        else:
            others.append(argv[place])
        place += 1
    return found, others


def _add_connection(app: Any, argv: list[str], connection: dict[str, str]) -> None:
    """What is left of reading the arguments where the others were read before the fork."""
    from traitlets.config.loader import Config, DeferredConfigString

    app.argv = argv
    app._configure_logging()  # to this process's own stream
    told = {name: DeferredConfigString(value) for name, value in connection.items()}
    app.cli_config.merge(Config({"IPKernelApp": told}))
    app.update_config(app.cli_config)


def connection_of(app: Any) -> dict[str, Any]:
    """What a client must know."""
    known = {
        name + "_port": getattr(app, name + "_port")
        for name in ("shell", "iopub", "stdin", "control", "hb")
    }
    known.update(transport=app.transport, ip=app.ip, key=app.session.key.decode())
    known["signature_scheme"] = app.session.signature_scheme
    return known


def is_plain(app: Any) -> bool:
    """Whether a kernel started elsewhere would be the same: no profile's settings and no start-up
    files were read.
    """
    shell = getattr(app, "shell", None)
    folder = getattr(getattr(app, "profile_dir", None), "startup_dir", None)
    scripts = (
        [name for name in os.listdir(folder) if name.endswith((".py", ".ipy"))] if folder else []
    )
    return (
        shell is not None
        and not scripts
        and not app.loaded_config_files
        and "PYTHONSTARTUP" not in os.environ
    )


def hand_over(app: Any, request: dict[str, Any]) -> None:
    """Give a kernel that waited what its new owner asked for."""
    app.connection_file = request["connection_file"]
    sys.argv = ["ipykernel_launcher", *request["argv"]]
    shell = app.shell
    shell.init_environment()  # it was set when the kernel was made, for another environment
    shell.starting_dir = os.getcwd()
    if shell.user_ns.get("_dh"):
        shell.user_ns["_dh"][:] = [os.getcwd()]
    session_name = os.environ.get("JPY_SESSION_NAME")
    if session_name:
        shell.user_ns["__session__"] = session_name


def finish(app: Any) -> None:
    """Do what an interpreter's end does for a program, and leave the rest to the system; does not
    return.
    """
    code = 0
    try:
        _stop_control(app)
        threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter calls first, too
        atexit._run_exitfuncs()
        _drop_values(app)
        _flush()
        closing = threading.Thread(target=app.close, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)  # whatever keeps it, the process ends
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except BaseException:  # noqa: BLE001  # nothing may keep the process alive
        code = 1
    finally:
        with contextlib.suppress(BaseException):
            sys.__stdout__.flush()  # type: ignore[union-attr]
            sys.__stderr__.flush()  # type: ignore[union-attr]
        os._exit(code)


def _stop_control(app: Any) -> None:
    """Let the control thread end while it still can.

    It flushes the outputs after each message, through the iopub thread; when that stops first, as
    it does at exit, it waits ten seconds.
    """
    control = app.control_thread
    if control is not None and control.is_alive():
        control.stop()
        control.join(CLOSE_SECONDS)


def _drop_values(app: Any) -> None:
    """Let go of the user's values, so that what they hold is closed and written."""
    shell = app.shell
    if shell is not None:
        shell.displayhook.exec_result = None
        shell.user_ns_hidden.clear()
        shell.user_ns.clear()
    sys.modules["__main__"].__dict__.clear()
    for name in ("last_value", "last_exc", "last_traceback"):
        sys.__dict__.pop(name, None)
    gc.collect()


def _flush() -> None:
    for held in gc.get_objects():
        if (
            isinstance(held, (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom))
            and not held.closed
        ):
            with contextlib.suppress(Exception):
                held.flush()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
