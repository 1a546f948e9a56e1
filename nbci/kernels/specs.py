"""The Jupyter kernels that are installed on this machine."""

from __future__ import annotations

import json
import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError, nearest
from nbci.light_imports import lean_import

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    from nbci.kernels.job import KernelJob


_OWN_PYTHON = (
    "python",
    f"python{sys.version_info[0]}",
    f"python{sys.version_info[0]}.{sys.version_info[1]}",
)
"""For these in a specification Jupyter starts the interpreter that it runs in itself.

https://github.com/jupyter/jupyter_client/blob/main/jupyter_client/manager.py: format_kernel_cmd
"""


def installed_kernels() -> tuple[str, ...]:
    """The names of the installed kernels, sorted."""
    return tuple(sorted(spec_manager().find_kernel_specs()))


def spec_manager() -> KernelSpecManager:
    """Jupyter's own manager, without its import of IPython to ask where IPython's folder is."""
    # Lean: it is asked for in every run, and Jupyter imports much that no search needs.
    manager: KernelSpecManager = lean_import("jupyter_client.kernelspec").KernelSpecManager()
    manager.kernel_dirs = kernel_folders()
    return manager


def kernel_language(name: str) -> str:
    """The language of an installed kernel, in lower case; raises UsageError as `find_spec` does."""
    return str(find_spec(name).language).lower()


def is_installed(name: str) -> bool:
    """Whether there is such a kernel for sure.

    False where anything is out of the ordinary: `find_spec` knows, but to import Jupyter's client
    takes ten times as long as this.
    """
    try:
        spec = _specification(name)
        has_argv = isinstance(spec.get("argv"), list)
        return has_argv and "kernel_provisioner" not in spec.get("metadata", {})
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        # The file may hold any JSON, or none.
        return False


@lru_cache(maxsize=64)
def program_of(name: str) -> str | None:
    """The program that a kernel of that name is started with; None where that cannot be read.

    A thousand steps ask for the same few, so each is looked for once in a process.
    """
    try:
        spec = _specification(name)
    except NoSpecification:
        # Jupyter has one of its own for `python3` then: ipykernel beside it.
        if name in ("python", "python3"):
            return sys.executable
        return None
    except (OSError, ValueError):
        return None
    try:
        program = str(spec["argv"][0])
    except (LookupError, TypeError):
        return None
    if program in _OWN_PYTHON:
        return sys.executable
    return program


class NoSpecification(LookupError):
    """There is none of that name."""


def _specification(name: str) -> Any:
    """The first that Jupyter would find, whatever JSON it is."""
    for place in specification_places(name):
        try:
            with open(place, encoding="utf-8") as file:
                return json.load(file)
        except (FileNotFoundError, NotADirectoryError):
            continue
    raise NoSpecification(name)


def specification_places(name: str) -> tuple[str, ...]:
    """Where Jupyter looks for a kernel's specification, in its order.

    The case of its folder does not matter, so what is there comes before what could be.
    """
    places: list[str] = []
    for folder in kernel_folders():
        names = dict.fromkeys((*_names_like(folder, name), name, name.lower()))
        places += [os.path.join(folder, each, "kernel.json") for each in names]
    return tuple(places)


def _names_like(folder: str, name: str) -> list[str]:
    try:
        return [entry for entry in os.listdir(folder) if entry.lower() == name.lower()]
    except OSError:
        return []


def kernel_folders() -> list[str]:
    """Jupyter's folders, and IPython's own, of which Jupyter would ask IPython."""
    from jupyter_core.paths import jupyter_path

    of_ipython = os.environ.get("IPYTHONDIR") or os.path.join("~", ".ipython")
    return [*jupyter_path("kernels"), os.path.join(os.path.expanduser(of_ipython), "kernels")]


def why_missing(name: str) -> UsageError | None:
    """The error about a kernel that this machine does not have; None where it can be started."""
    if is_installed(name):
        return None
    try:
        find_spec(name)
    except UsageError as error:
        return error
    return None


def spec_of(job: KernelJob) -> KernelSpec:
    """How the job's kernel is started; raises UsageError as `find_spec` does."""
    if job.interpreter is None:
        return find_spec(job.kernel_name)
    from jupyter_client.kernelspec import KernelSpec

    # As ipykernel's own specification has it: an environment from a lock file has none installed.
    argv = [str(job.interpreter), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return KernelSpec(argv=argv, display_name="Python 3 (ipykernel)", language="python")


def find_spec(name: str) -> KernelSpec:
    """The kernel's specification; raises UsageError that lists what is installed."""
    manager = spec_manager()
    from jupyter_client.kernelspec import NoSuchKernel

    try:
        return manager.get_kernel_spec(name)
    except (NoSuchKernel, ValueError) as error:
        installed = installed_kernels()
        close = nearest(name, installed)
        listed = ", ".join(installed) or "none"
        raise UsageError(
            f"there is no kernel named `{name}`; installed are: {listed}",
            hint=_hint(close, installed),
        ) from error
    except OSError as error:
        raise UsageError(
            f"the specification of the kernel `{name}` cannot be read: {error}"
        ) from error


def _hint(close: str | None, installed: Sequence[str]) -> str:
    if not installed:
        return "install a kernel: `python -m ipykernel install --user`"
    way = "runs every step in that one; or install the kernel"
    if close:
        return f"did you mean `{close}`? `-k {close}` {way}"
    usual = installed[0]
    if "python3" in installed:
        usual = "python3"
    return f"`-k {usual}` {way}"
