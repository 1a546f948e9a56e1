"""What the rule calls unsaveable is what no codec saves."""

from __future__ import annotations

import importlib
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from nbci.lint.values import UNSAVEABLE

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
    "multiprocessing.Pool": (1,),
}


@pytest.mark.parametrize("name", sorted(set(UNSAVEABLE) - {"socket.create_connection"}))
def test_what_is_called_unsaveable_is(name: str, tmp_path: Path) -> None:
    module, _, function = name.rpartition(".")
    make = getattr(importlib.import_module(module or "builtins"), function)
    value = make(*_ARGUMENTS.get(name, _file_arguments(name, tmp_path)))
    try:
        # text files are saved by cloudpickle as their contents, which is no open file: nbci's codec refuses all of them
        if not isinstance(value, io.IOBase):
            with pytest.raises((TypeError, NotImplementedError, RuntimeError, Exception), match=r"pickle|share|context|cannot"):
                cloudpickle.dumps(value)
    finally:
        for end in ("terminate", "shutdown", "close", "wait"):
            if hasattr(value, end) and name != "weakref.ref":
                getattr(value, end)()


def _file_arguments(name: str, folder: Path) -> tuple[Any, ...]:
    path = folder / "file"
    path.write_bytes(b"")
    if name == "zipfile.ZipFile":
        zipfile.ZipFile(path, "w").close()
    if name == "tarfile.open":
        tarfile.open(path, "w").close()
    is_opened = name.endswith((".open", "open", "ZipFile"))
    return (str(path if name != "os.scandir" else folder),) if is_opened or name == "os.scandir" else ()
