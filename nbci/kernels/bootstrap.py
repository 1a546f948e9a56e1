"""What is sent to a Python kernel before anything else, and how it is asked afterwards."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbci.kernels.job import KernelJob

PARTS = (
    *(
        "streams",
        "failures",
        "traces",
        "facts",
        "definitions",
        "forms",
        "learning",
        "objects",
        "pickling",
    ),
    *("value_files", "sharing", "untouched", "values"),
    *("arrivals", "random_state", "process_state", "patched_modules", "boundary"),
)
"""In the order in which they are registered: each imports only those before it."""
ANSWER = "text/x-nbci"


@functools.cache
def start_source() -> str:
    """A statement that registers `_nbci` and its parts, and leaves no name behind."""
    parts = {name: _source(name) for name in PARTS}
    return f"exec({_LOADER!r}, {{'entry': {_source('entry')!r}, 'parts': {parts!r}, '__name__': '_nbci_loader'}})"


def start_prepared() -> str:
    """A statement that does the same in a fork of a zygote that has prepared it, and raises
    KeyError in others.
    """
    return f"__import__('sys').modules['_nbci_zygote.start'].give({start_digest()!r})"


@functools.cache
def start_digest() -> str:
    """By which zygotes know what they have prepared."""
    return hashlib.sha256(start_source().encode()).hexdigest()


def question(function: str, argument: dict[str, Any]) -> str:
    """The expression that calls a function of `_nbci` with a JSON document."""
    return f"__import__('_nbci').call({function!r}, {json.dumps(argument)!r})"


def cloudpickle_sources() -> dict[str, str]:
    """The source of cloudpickle, for kernels whose environment lacks it."""
    package = importlib.resources.files("cloudpickle")
    return {
        "package_source": package.joinpath("__init__.py").read_text(encoding="utf-8"),
        "module_source": package.joinpath("cloudpickle.py").read_text(encoding="utf-8"),
    }


def install_arguments(job: KernelJob, parent_pid: int) -> dict[str, Any]:
    """What `_nbci.install` is told."""
    return {"shell_errors": job.shell_errors, "parent": parent_pid, "project": str(job.project)}


@functools.cache
def _source(name: str) -> str:
    return (
        importlib.resources.files("nbci.inkernel")
        .joinpath(f"{name}.py")
        .read_text(encoding="utf-8")
    )


_LOADER = """
import sys, types
root = types.ModuleType('_nbci')
root.__path__ = []
sys.modules['_nbci'] = root
exec(compile(entry, '<nbci entry>', 'exec'), root.__dict__)
for name, source in parts.items():
    root.register(name, source)
"""
