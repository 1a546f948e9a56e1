"""What the rule calls unsaveable is what no codec saves."""

from __future__ import annotations

import importlib
import io
import pickle
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import cloudpickle  # type: ignore[import-untyped]  # it has no types
import pytest

from nbci.lint.unsaveable import UNSAVEABLE

if TYPE_CHECKING:
    from pathlib import Path

_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "re.finditer": ("a", "a"),
    "sqlite3.connect": (":memory:",),
    "subprocess.Popen": (["true"],),
    "weakref.ref": (io.StringIO,),
    "csv.reader": ([],),
    "csv.DictReader": ([],),
    "csv.writer": (io.StringIO(),),
    "csv.DictWriter": (io.StringIO(), ["a"]),
    "mmap.mmap": (-1, 1),
    "os.popen": ("true",),
}


# pools start processes and threads that outlive a test's patience; an address to connect to is not
# at hand
_NOT_MADE = {
    "socket.create_connection",
    "multiprocessing.Pool",
    "concurrent.futures.ProcessPoolExecutor",
}


@pytest.mark.parametrize("name", sorted(set(UNSAVEABLE) - _NOT_MADE))
def test_what_is_called_unsaveable_is(name: str, tmp_path: Path) -> None:
    module, _, function = name.rpartition(".")
    make = getattr(importlib.import_module(module or "builtins"), function)
    value = make(*_ARGUMENTS.get(name, _file_arguments(name, tmp_path)))
    try:
        # cloudpickle saves the text of a file opened for reading; nbci's codec refuses every open
        # file
        if not isinstance(value, io.IOBase):
            with pytest.raises((TypeError, RuntimeError, pickle.PicklingError)):
                cloudpickle.dumps(value)
    finally:
        # an executor that was given nothing to do has started nothing
        for end in ("wait", "close"):
            if hasattr(value, end) and not isinstance(value, threading.Event | threading.Condition):
                getattr(value, end)()


def _file_arguments(name: str, folder: Path) -> tuple[Any, ...]:
    path = folder / "file"
    path.write_bytes(b"")
    if name == "zipfile.ZipFile":
        zipfile.ZipFile(path, "w").close()
    if name == "tarfile.open":
        tarfile.open(path, "w").close()
    is_opened = name.endswith((".open", "open", "ZipFile"))
    return (
        (str(path if name != "os.scandir" else folder),)
        if is_opened or name == "os.scandir"
        else ()
    )
