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
    *("streams", "failures"),
    *("counted_paths", "notes", "file_traces", "import_traces", "variable_traces"),
    *("network_traces", "native_traces", "traces", "facts"),
    *("walks", "definitions", "forms", "learning", "reconstruction", "objects", "pickling"),
    *("value_files", "sharing", "untouched", "values"),
    *("arrivals", "random_state", "held_conditions"),
    *("kernel_settings", "process_state", "patched_modules", "boundary"),
)
"""Modules of `inkernel`, in the order of their registration: each imports those before it only."""
ANSWER = "text/x-nbci"


@functools.cache
def start_source() -> str:
    """A statement that registers `_nbci` and its parts, and leaves no name behind."""
    parts = {name: _source(name) for name in PARTS}
    names = f"{{'entry': {_source('entry')!r}, 'parts': {parts!r}, '__name__': '_nbci_loader'}}"
    # Names of its own, so that none is left among the user's.
    return f"exec({_LOADER!r}, {names})"


def start_prepared() -> str:
    """A statement that does the same where the kernel's zygote has prepared it.

    It raises KeyError in other kernels.
    """
    return f"__import__('sys').modules['_nbci_zygote.start'].give({start_digest()!r})"


@functools.cache
def start_digest() -> str:
    """The digest by which zygotes know what they have prepared."""
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
    """The argument of `_nbci.install`."""
    return {
        "shell_errors": job.shell_errors,
        "parent": parent_pid,
        "project": str(job.project),
        "held": list(job.held),
    }


@functools.cache
def _source(name: str) -> str:
    file = importlib.resources.files("nbci.inkernel").joinpath(f"{name}.py")
    return file.read_text(encoding="utf-8")


# Not installed in the kernel's environment, which may be another than nbci's:
# docs/decisions/0002-no-nbci-in-the-kernel.md
_LOADER = """
import sys, types
root = types.ModuleType('_nbci')
root.__path__ = []
sys.modules['_nbci'] = root
exec(compile(entry, '<nbci entry>', 'exec'), root.__dict__)
for name, source in parts.items():
    root.register(name, source)
"""
