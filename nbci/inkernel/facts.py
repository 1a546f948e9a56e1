"""What the kernel knows of itself: metrics, usage, imported modules, failures beside the cells."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import platform
import signal
import sys
import threading
import time
from typing import Any

PR_SET_PDEATHSIG = 1
THREADS_SECONDS = 5.0
OF_THE_KERNEL = ("ipykernel", "tornado", "zmq", "jupyter_client", "anyio", "IPython")

asides: list[list[Any]] = []
"""`[execution count, text]` of what went wrong outside the cells' own code."""
baseline: set[str] = set()
"""The top-level modules of a kernel that no cell has imported."""


def install(parent: int) -> dict[str, Any]:
    """Tie the kernel's life to nbci's and start to watch."""
    die_with(parent)
    leave_children_alone()
    end_in_order()
    answer_at_once()
    enable_faulthandler()
    watch_threads()
    watch_unraisable()
    watch_loop()
    baseline.update(top_levels())
    implementation = platform.python_implementation().replace("CPython", "Python")
    return {"version": implementation + " " + platform.python_version()}


def die_with(parent: int) -> None:
    """Have the system kill this process when nbci's thread that started it dies: prctl(2)."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


def kernel_app() -> Any:
    """The kernel that runs this code; None in an IPython that is none."""
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None)


def leave_children_alone() -> None:
    """Keep ipykernel from waiting for children when it ends: nbci ends them itself.

    It would wait seconds for each zombie.
    """
    kernel = kernel_app()
    if hasattr(kernel, "_process_children"):
        kernel._process_children = list


def end_in_order() -> None:
    """Have ipykernel's control thread end before the iopub thread, which it waits for.

    Else it waits ten seconds at times.
    """
    import atexit

    control: Any = getattr(kernel_app(), "control_thread", None)

    def stop() -> None:
        if control.is_alive():
            control.stop()
            control.join(0.1)

    if control is not None:
        atexit.register(stop)


def answer_at_once() -> None:
    """Keep ipykernel from sleeping after each cell.

    It does for clients that take the reply for the end of all output; nbci waits for `idle`.
    """
    kernel = kernel_app()
    if hasattr(kernel, "_execute_sleep"):
        kernel._execute_sleep = 0.0


def enable_faulthandler() -> None:
    """Write the stack of a crash to the process's own stderr, which nbci keeps as the log."""
    import faulthandler

    # ipykernel puts a pipe in the place of descriptor 2, which nobody reads after a crash
    original = getattr(sys.stderr, "_original_stdstream_copy", None)
    if original is None:
        original = 2
    with contextlib.suppress(OSError, ValueError):
        faulthandler.enable(file=original)


def note(text: str) -> None:
    """Remember `text` with the place of the last cell in the history.

    The execution count will not do: IPython raises it early or late.
    """
    from IPython import get_ipython

    asides.append([len(get_ipython().history_manager.input_hist_raw) - 1, text])


def error_text(kind: type, value: Any) -> str:
    text = str(value)
    if not text:
        return kind.__name__
    return kind.__name__ + ": " + text


def watch_threads() -> None:
    original = threading.excepthook

    def hook(args: Any) -> Any:
        # `sys.exit()` in a thread ends just the thread, and Python's own hook says nothing either
        if args.exc_type is not SystemExit:
            name = "unknown"
            if args.thread is not None:
                name = args.thread.name
            error = error_text(args.exc_type, args.exc_value)
            note("an exception ended the thread " + name + ": " + error)
        original(args)

    threading.excepthook = hook


def await_threads() -> list[str]:
    """Let threads end that would keep a program alive; the names of those that go on."""
    deadline = time.monotonic() + THREADS_SECONDS
    end_thread_pools()
    for thread in lasting_threads():
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread.name for thread in lasting_threads()]


def end_thread_pools() -> None:
    """Tell the threads of executors to end, which wait for work until the interpreter does that."""
    pools: Any = sys.modules.get("concurrent.futures.thread")
    if pools is None or not pools._threads_queues:
        return
    # it waits for the work that is left, which may never end: so in a thread of its own
    ending = threading.Thread(target=pools._python_exit, daemon=True)
    ending.start()
    ending.join(THREADS_SECONDS)


def lasting_threads() -> list[threading.Thread]:
    """Threads of the user's that a program would wait for at its end."""
    # not daemons: the interpreter ends without waiting for them
    exempt = (threading.main_thread(), threading.current_thread())
    found = []
    for thread in threading.enumerate():
        is_of_kernel = type(thread).__module__.startswith(OF_THE_KERNEL)
        if not (thread.daemon or thread in exempt or is_of_kernel):
            found.append(thread)
    return found


def watch_unraisable() -> None:
    original = sys.unraisablehook

    def hook(args: Any) -> Any:
        what = getattr(args.object, "__qualname__", None) or type(args.object).__name__
        error = error_text(args.exc_type, args.exc_value)
        note("an exception could not be raised (in " + what + "): " + error)
        original(args)

    sys.unraisablehook = hook


def watch_loop() -> None:
    # ipykernel runs cells in its own loop: tasks of the cells are in it, too
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    original = loop.get_exception_handler()

    def handler(loop: Any, context: Any) -> Any:
        error = context.get("exception")
        text = context.get("message", "")
        if error:
            text = error_text(type(error), error)
        note("an asyncio task failed: " + text)
        if original is not None:
            original(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handler)


def forgotten_tasks() -> list[str]:
    """What to say of asyncio tasks that the cells lost sight of.

    Those are pending ones, and failed ones that nobody awaited though a variable holds them:
    asyncio itself tells of others when they are collected.
    """
    # a task that is part of a cycle, and failed, tells of itself when it is collected
    gc.collect()
    try:
        pending = asyncio.all_tasks()
    except RuntimeError:
        return []
    texts = []
    for task in pending:
        code = getattr(task.get_coro(), "cr_code", None)
        if code is not None and not is_code_of_kernel(code.co_filename):
            texts.append("the asyncio task " + code.co_name + "() was still pending at the end")

    space: dict[str, Any] = sys.modules["__main__"].__dict__
    for name, value in list(space.items()):
        if name.startswith("_") or not is_ended_task(value):
            continue
        if getattr(value, "_log_traceback", False):  # nobody has asked for its exception
            error = value.exception()
            text = error_text(type(error), error)
            texts.append("the asyncio task `" + name + "` failed and nobody awaited it: " + text)
    return texts


def is_code_of_kernel(path: str) -> bool:
    return any(os.sep + package + os.sep in path for package in OF_THE_KERNEL)


def is_ended_task(value: Any) -> bool:
    """Whether it has ended by itself; `_log_traceback` then tells an error from a result."""
    return isinstance(value, asyncio.Task) and value.done() and not value.cancelled()


def top_levels() -> list[str]:
    """Imported top-level modules, and the children of namespace packages as `package/child`.

    Several distributions may share a namespace package: only the child tells them apart.
    """
    names = set()
    # copied: another thread may import
    for name in list(sys.modules):
        first, _, rest = name.partition(".")
        if first in ("__main__", "_nbci"):
            continue
        names.add(first)
        if rest and getattr(sys.modules.get(first), "__file__", None) is None:
            names.add(first + "/" + rest.partition(".")[0])
    return sorted(names)


def probe(expression: str) -> dict[str, Any]:
    """The number that `expression` is in the user's namespace."""
    try:
        value = eval(expression, sys.modules["__main__"].__dict__)
    except Exception as error:  # noqa: BLE001  # user code can raise anything
        return {"problem": error_text(type(error), error)}
    kind = type(value).__name__
    try:
        if _is_masked(value):
            return {"problem": "it is masked, so there is no number"}
        # numpy's and torch's numbers, and arrays of one element
        if hasattr(value, "item") and not isinstance(value, (int, float)):
            value = value.item()
        if _is_number(value):
            return {"value": float(value)}
    except Exception:  # noqa: BLE001  # user code can raise anything, and there is no number then
        pass
    return {"problem": "a value of type " + kind + " is no number"}


def _is_number(value: Any) -> bool:
    """Also a Fraction or Decimal; what else can be made a float, such as text, is none."""
    import decimal
    import numbers

    return isinstance(value, (numbers.Real, decimal.Decimal))


def _is_masked(value: Any) -> bool:
    """Whether numpy's masked arrays have a gap for a number: what stands below the mask is none."""
    is_maskable = any(base.__name__ == "MaskedArray" for base in type(value).__mro__)
    return is_maskable and bool(value.mask.any())


def gpu() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    try:
        # asking a GPU that nobody used would initialise it
        if torch is None or not torch.cuda.is_initialized():
            return {}
        cuda = torch.cuda
        return {"name": cuda.get_device_name(), "memory": int(cuda.max_memory_reserved())}
    except Exception:  # noqa: BLE001  # user code can raise anything
        return {}


def finish(probes: list[str]) -> dict[str, Any]:
    """Everything that is known at the end, in one document."""
    import resource

    # the metrics first: threads that end meanwhile may change what the variables hold
    answers = list(map(probe, probes))
    threads = await_threads()
    note_threads(threads)
    for text in forgotten_tasks():
        asides.append([None, text])

    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1024
    if sys.platform == "darwin":  # bytes there, kilobytes elsewhere: getrusage(2)
        unit = 1
    return {
        "probes": answers,
        "warnings": asides,
        "threads": threads,
        "modules": sorted(set(top_levels()) - baseline),
        "path": list(map(str, sys.path)),
        "seen": sys.modules["_nbci.traces"].all_traces(),
        "gpu": gpu(),
        "cpu_seconds": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "peak_memory_bytes": max(own.ru_maxrss, children.ru_maxrss) * unit,
    }


def note_threads(names: list[str]) -> None:
    seconds = format(THREADS_SECONDS, "g")
    for name in names:
        text = " was still running " + seconds + " seconds after the last cell"
        asides.append([None, "the thread " + name + text + ", and ended with the kernel"])
