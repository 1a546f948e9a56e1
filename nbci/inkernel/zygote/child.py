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

from _nbci_zygote import wire
from _nbci_zygote.process_environment import set_environment

MARKER = b"NBCI_KERNEL="
PR_SET_PDEATHSIG = 1
CLOSE_SECONDS = 0.1

USUAL = ["--HistoryManager.hist_file=:memory:"]
"""How nbci, nbclient and papermill start a kernel, but for its connection."""


def detach(parent: int) -> None:
    """Become the leader of a session that dies with the zygote."""
    import ctypes

    os.setsid()  # so that a kernel and what it starts are killed as one group
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before `prctl`
        os._exit(1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # the interpreter ignores these two when it starts (Python/pylifecycle.c)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _restart_log_clock()


def _restart_log_clock() -> None:
    """Have `relativeCreated` of log records count from now; in nanoseconds since Python 3.13."""
    now: float = time.time()
    if isinstance(logging._startTime, int):  # type: ignore[attr-defined]  # it is not announced
        now = time.time_ns()
    logging._startTime = now  # type: ignore[attr-defined]


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
    buffering = -1
    if before.write_through:
        buffering = 0
    raw = open(number, mode + "b", buffering, closefd=False)
    line = before.line_buffering or (mode == "w" and os.isatty(number))
    return io.TextIOWrapper(raw, before.encoding, before.errors, None, line, before.write_through)


def replace_descriptors(descriptors: list[int]) -> None:
    """Make these the standard streams of a kernel that already captures its own."""
    os.dup2(descriptors[0], 0)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        # ipykernel moved the original here and put a pipe in its place
        copy = getattr(stream, "_original_stdstream_copy", None)
        if copy is None:
            copy = number
        os.dup2(descriptors[number], copy)
    for descriptor in descriptors:
        os.close(descriptor)


def take_surroundings(request: dict[str, Any]) -> None:
    """Take the environment, folder, umask and limits of the client."""
    take_environment(request["env"])
    os.umask(request["umask"])
    for name, limits in request["limits"].items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), tuple(limits))
    os.chdir(request["cwd"])
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        # to be looked for once more, with this environment
        tempfile.tempdir = None  # type: ignore[attr-defined]  # not in typeshed


def take_environment(env: dict[str, str]) -> None:
    ours = dict(env, JPY_PARENT_PID=str(os.getppid()))
    backend = os.environ.get("MPLBACKEND")
    if backend and "matplotlib_inline" in backend:
        ours.setdefault("MPLBACKEND", backend)  # as a kernel sets it for itself
    set_environment(ours)
    if "TZ" in ours:
        time.tzset()
    _show_marker(ours.get("NBCI_KERNEL", ""))


def _show_marker(value: str) -> None:
    """Write the marker into `/proc/self/environ`, where a search for left kernels looks for it.

    The file shows the memory in which the environment lay when the zygote was started, proc(5).
    """
    import ctypes

    try:
        with open("/proc/self/environ", "rb") as file:
            offset = (b"\0" + file.read()).find(b"\0" + MARKER)
        with open("/proc/self/stat", "rb") as file:
            # `env_start`, field 50; the name of the program, in brackets, may have spaces
            start = int(file.read().rpartition(b")")[2].split()[47])
        if offset >= 0 and len(value) == 32:
            ctypes.memmove(start + offset + len(MARKER), value.encode(), len(value))
    except (OSError, ValueError, IndexError):
        pass


def make_ordered(
    argv: list[str], link: Any, request: dict[str, Any], descriptors: list[int], begin: Any
) -> Any:
    """A kernel for an order, in the client's surroundings from the start."""
    take_descriptors(descriptors)
    take_surroundings(request)
    app = make_app(argv)
    begin(request)
    wire.send(link, {"plain": is_plain(app)})
    return app


def make_spare(argv: list[str], link: Any, begin: Any) -> Any:
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
    """Do in the zygote what is the same in every kernel, so that forks have it done.

    The usual arguments are read, and the regular expressions of IPython's transformers compiled.
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
    connection, others = split_arguments(argv)
    if others != USUAL:
        IPKernelApp.clear_instance()  # the one that `rehearse` made has read the usual ones
    app: Any = IPKernelApp.instance()
    app.parent_handle = os.getppid()  # the default was read from the environment before the fork
    if others == USUAL:
        app.parse_command_line = lambda _: _add_connection(app, argv, connection)
    # binds the sockets: a client may send from now on, and is answered when the loop runs
    app.initialize(argv)
    app.__dict__.pop("parse_command_line", None)
    atexit.unregister(app.close)  # called at the end, under a time limit
    return app


def split_arguments(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """How the kernel is reached, by the names of ipykernel's settings; and all other arguments."""
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
    settings = {name: DeferredConfigString(value) for name, value in connection.items()}
    app.cli_config.merge(Config({"IPKernelApp": settings}))
    app.update_config(app.cli_config)


def connection_of(app: Any) -> dict[str, Any]:
    """What a client must know."""
    ports = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
    known = {name: getattr(app, name) for name in ports}
    known.update(transport=app.transport, ip=app.ip, key=app.session.key.decode())
    known["signature_scheme"] = app.session.signature_scheme
    return known


def is_plain(app: Any) -> bool:
    """Whether a kernel started elsewhere would be the same.

    It is not where settings of a profile or start-up files were read.
    """
    shell = getattr(app, "shell", None)
    folder = getattr(getattr(app, "profile_dir", None), "startup_dir", None)
    if shell is None or app.loaded_config_files or "PYTHONSTARTUP" in os.environ:
        return False
    return not folder or not any(name.endswith((".py", ".ipy")) for name in os.listdir(folder))


def hand_over(app: Any, request: dict[str, Any]) -> None:
    """Give a kernel that waited what its client asked for."""
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
    """End the process as an interpreter ends a program; does not return.

    In the interpreter's order (Py_FinalizeEx, Python/pylifecycle.c): threads, functions of atexit,
    values, streams. The modules are not taken apart: that would copy the memory of all of them.
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
        code = exit_status(error, otherwise=0)
    except BaseException:  # noqa: BLE001  # nothing may keep the process alive
        code = 1
    finally:
        with contextlib.suppress(BaseException):
            sys.__stdout__.flush()  # type: ignore[union-attr]
            sys.__stderr__.flush()  # type: ignore[union-attr]
        os._exit(code)


def exit_status(error: SystemExit, otherwise: int) -> int:
    """The status that the exception asks for; `otherwise` where it has a text or nothing."""
    if isinstance(error.code, int):
        return error.code
    return otherwise


def _stop_control(app: Any) -> None:
    """Let the control thread end while it still can.

    It flushes the outputs after each message, through the iopub thread; if that stops first, as it
    does at exit, the control thread waits ten seconds.
    """
    control = app.control_thread
    if control is not None and control.is_alive():
        control.stop()
        control.join(CLOSE_SECONDS)


def _drop_values(app: Any) -> None:
    """Drop the user's values, so that what they hold is closed and written."""
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
    """Write what open files have buffered, also those that only a cycle or a module holds."""
    files = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    for held in gc.get_objects():
        if isinstance(held, files) and not held.closed:
            with contextlib.suppress(Exception):
                held.flush()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
