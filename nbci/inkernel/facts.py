"""What the kernel knows about itself: metrics, usage, imported modules, and what went wrong beside
the cells.
"""

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
    return {
        "version": platform.python_implementation().replace("CPython", "Python")
        + " "
        + platform.python_version()
    }


def die_with(parent: int) -> None:
    """Have the system kill this process when nbci's thread that started it dies (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def leave_children_alone() -> None:
    """Keep ipykernel from waiting for children when it ends, seconds for each zombie: nbci ends
    them itself.
    """
    from IPython import get_ipython

    kernel: Any = getattr(get_ipython(), "kernel", None)
    if hasattr(kernel, "_process_children"):
        kernel._process_children = list


def end_in_order() -> None:
    """Have ipykernel's control thread end before the thread that it waits for, else it waits ten
    seconds at times.
    """
    import atexit

    from IPython import get_ipython

    control: Any = getattr(getattr(get_ipython(), "kernel", None), "control_thread", None)

    def stop() -> None:
        if control.is_alive():
            control.stop()
            control.join(0.1)

    if control is not None:
        atexit.register(stop)


def answer_at_once() -> None:
    """Keep ipykernel from sleeping after each cell, for clients that take the reply for the end of
    all output.
    """
    from IPython import get_ipython

    kernel: Any = getattr(get_ipython(), "kernel", None)
    if hasattr(kernel, "_execute_sleep"):
        kernel._execute_sleep = 0.0


def enable_faulthandler() -> None:
    """Write the stack of a crash to the process's own stderr, which nbci keeps as the log."""
    import faulthandler

    original = getattr(sys.stderr, "_original_stdstream_copy", None)
    with contextlib.suppress(OSError, ValueError):
        faulthandler.enable(file=original if original is not None else 2)


def note(text: str) -> None:
    """Remember `text` with the last cell's place in the history; IPython counts executions early or
    late.
    """
    from IPython import get_ipython

    asides.append([len(get_ipython().history_manager.input_hist_raw) - 1, text])


def described(kind: type, value: Any) -> str:
    return kind.__name__ + (": " + str(value) if str(value) else "")


def watch_threads() -> None:
    original = threading.excepthook

    def hook(args: Any) -> Any:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread is not None else "unknown"
            note(
                "an exception ended the thread "
                + name
                + ": "
                + described(args.exc_type, args.exc_value)
            )
        original(args)

    threading.excepthook = hook


def await_threads() -> list[str]:
    """Let threads end that would keep a program alive, for a while; the names of those that go on."""
    deadline = time.monotonic() + THREADS_SECONDS
    pools: Any = sys.modules.get("concurrent.futures.thread")
    if (
        pools is not None and pools._threads_queues
    ):  # their threads wait for work until they are told of the end
        ending = threading.Thread(target=pools._python_exit, daemon=True)
        ending.start()
        ending.join(THREADS_SECONDS)
    for thread in lasting_threads():
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread.name for thread in lasting_threads()]


def lasting_threads() -> list[threading.Thread]:
    """Threads of the user's that a program would wait for at its end."""
    exempt = (threading.main_thread(), threading.current_thread())
    return [
        thread
        for thread in threading.enumerate()
        if not thread.daemon
        and thread not in exempt
        and not type(thread).__module__.startswith(OF_THE_KERNEL)
    ]


def watch_unraisable() -> None:
    original = sys.unraisablehook

    def hook(args: Any) -> Any:
        what = getattr(args.object, "__qualname__", None) or type(args.object).__name__
        said = described(args.exc_type, args.exc_value)
        note("an exception could not be raised (in " + what + "): " + said)
        original(args)

    sys.unraisablehook = hook


def watch_loop() -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    original = loop.get_exception_handler()

    def handler(loop: Any, context: Any) -> Any:
        error = context.get("exception")
        said = context.get("message", "")
        note("an asyncio task failed: " + (described(type(error), error) if error else said))
        if original is not None:
            original(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handler)


def forgotten_tasks() -> list[str]:
    """Tasks that are still pending, and failed ones that nobody awaited though a variable holds
    them.
    """
    gc.collect()
    try:
        pending = asyncio.all_tasks()
    except RuntimeError:
        return []
    said = []
    for task in pending:
        code = getattr(task.get_coro(), "cr_code", None)
        path = getattr(code, "co_filename", "")
        if code is None or any(os.sep + package + os.sep in path for package in OF_THE_KERNEL):
            continue
        said.append("the asyncio task " + code.co_name + "() was still pending at the end")
    space: dict[str, Any] = sys.modules["__main__"].__dict__
    for name, value in list(space.items()):
        if (
            name.startswith("_")
            or not isinstance(value, asyncio.Task)
            or not value.done()
            or value.cancelled()
        ):
            continue
        if getattr(value, "_log_traceback", False):
            error = value.exception()
            what = described(type(error), error)
            said.append("the asyncio task `" + name + "` failed and nobody awaited it: " + what)
    return said


def top_levels() -> list[str]:
    """Imported top-level modules; for namespace packages, which several distributions share, their
    children.
    """
    names = set()
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
        return {"problem": described(type(error), error)}
    kind = type(value).__name__
    try:
        if _is_masked(value):
            return {"problem": "it is masked, so there is no number"}
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
        if torch is None or not torch.cuda.is_initialized():
            return {}
        cuda = torch.cuda
        return {"name": cuda.get_device_name(), "memory": int(cuda.max_memory_reserved())}
    except Exception:  # noqa: BLE001  # user code can raise anything
        return {}


def finish(probes: list[str]) -> dict[str, Any]:
    """Everything that is known at the end, in one document."""
    import resource

    answers = [probe(expression) for expression in probes]
    threads = await_threads()
    told = (
        " was still running "
        + format(THREADS_SECONDS, "g")
        + " seconds after the last cell, and ended with the kernel"
    )
    asides.extend([None, "the thread " + name + told] for name in threads)
    asides.extend([None, text] for text in forgotten_tasks())
    own, ended = (
        resource.getrusage(resource.RUSAGE_SELF),
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "probes": answers,
        "warnings": asides,
        "threads": threads,
        "modules": sorted(set(top_levels()) - baseline),
        "path": [str(entry) for entry in sys.path],
        "seen": sys.modules["_nbci.traces"].seen(),
        "gpu": gpu(),
        "cpu_seconds": own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime,
        "peak_memory_bytes": max(own.ru_maxrss, ended.ru_maxrss) * unit,
    }
