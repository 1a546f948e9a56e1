"""Notes what the step's own code does, unnoticed by it: whose code asks, and what is nbci's own.

Most of this runs inside calls of the user's code: it must be quick, and must never raise.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .counted_paths import is_foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THIS = sys._getframe().f_code.co_filename
WATCHING = (
    *("notes", "counted_paths", "file_traces", "import_traces", "variable_traces"),
    *("network_traces", "native_traces", "traces"),
)
"""The modules that watch."""
WATCHERS = frozenset(name.join(THIS.rsplit("notes", 1)) for name in WATCHING)
"""The files of their code, called `<nbci NAME>` in a kernel: none of it is the step's."""
OF_MAPPINGS = Mapping.get.__code__.co_filename
ASKING_FOR_CALLERS = (os.makedirs, os.path.exists, os.path.abspath, pathlib.Path.exists)
PASSING_ON = frozenset(
    {OF_MAPPINGS, *(function.__code__.co_filename for function in ASKING_FOR_CALLERS)}
)
"""Python's own code that looks at files and variables only for its caller."""

noting = threading.local()
"""`on` while this thread notes something: what that takes is nothing that the step did."""


def quietly(note: Callable[..., None], *arguments: Any, **named: Any) -> None:
    """Note something; whatever is odd about it must not become the user's error."""
    if getattr(noting, "on", False):
        return
    noting.on = True
    try:
        note(*arguments, **named)
    except Exception:  # noqa: BLE001  # see above
        pass
    finally:
        noting.on = False


@contextlib.contextmanager
def unnoted() -> Iterator[None]:
    """Within, nothing that this thread does is noted."""
    before = getattr(noting, "on", False)
    noting.on = True
    try:
        yield
    finally:
        noting.on = before


def end_notes() -> None:
    """Note nothing in this thread from now on."""
    noting.on = True


def caller() -> tuple[Any, str]:
    """The function of Python's own by which it was asked, and the file of the code that asks.

    The function is None if the code asked directly, the file "" if there is none.
    """
    frame: Any = sys._getframe(1)
    name = None
    while frame is not None:
        file = frame.f_code.co_filename
        if file in PASSING_ON:
            name = frame.f_code.co_name
        elif file not in WATCHERS:
            return name, file
        frame = frame.f_back
    return name, ""


@functools.lru_cache(maxsize=4096)
def is_own(file: str) -> bool:
    """Whether code is of a cell or of a module that no distribution brought."""
    if file.startswith(("<frozen", "<nbci")) or file in PASSING_ON or file in WATCHERS:
        return False
    return not is_foreign(file)
