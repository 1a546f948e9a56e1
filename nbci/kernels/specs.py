"""The Jupyter kernels that are installed on this machine."""

from __future__ import annotations

import json
import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from nbci.errors import UsageError, nearest
from nbci.lean import lean_import

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    from nbci.kernels.job import KernelJob


_OWN_PYTHON = ("python", f"python{sys.version_info[0]}", f"python{sys.version_info[0]}.{sys.version_info[1]}")
"""For these in a specification Jupyter starts the interpreter that it runs in itself.

https://github.com/jupyter/jupyter_client/blob/main/jupyter_client/manager.py: format_kernel_cmd
"""


def installed_kernels() -> tuple[str, ...]:
    """The names of the installed kernels, sorted."""
    return tuple(sorted(spec_manager().find_kernel_specs()))


def spec_manager() -> KernelSpecManager:
    """Jupyter's own, which would import IPython whole to be told where its folder is."""
    from jupyter_core.paths import jupyter_path

    manager: KernelSpecManager = lean_import("jupyter_client.kernelspec").KernelSpecManager()
    of_ipython = os.environ.get("IPYTHONDIR") or os.path.join("~", ".ipython")
    manager.kernel_dirs = [*jupyter_path("kernels"), os.path.join(os.path.expanduser(of_ipython), "kernels")]
    return manager


def kernel_language(name: str) -> str:
    """The language of an installed kernel, in lower case; raises UsageError when there is none of that name."""
    return str(find_spec(name).language).lower()


def is_installed(name: str) -> bool:
    """Whether there is such a kernel for sure, told in the time that importing Jupyter's client would take ten times.

    Looks where Jupyter looks, in its order. False where anything is out of the ordinary: `find_spec` knows.
    """
    from jupyter_core.paths import jupyter_path

    for folder in jupyter_path("kernels"):
        try:
            found = next((entry for entry in os.listdir(folder) if entry.lower() == name.lower()), None)
            if found is not None and os.path.isfile(f"{folder}/{found}/kernel.json"):
                with open(f"{folder}/{found}/kernel.json", encoding="utf-8") as file:
                    spec = json.load(file)
                return isinstance(spec.get("argv"), list) and "kernel_provisioner" not in spec.get("metadata", {})
        except (OSError, ValueError, AttributeError, TypeError):
            if os.path.isdir(folder):
                return False
    return False


@lru_cache(maxsize=64)
def program_of(name: str) -> str | None:
    """The program that a kernel of that name is started with; None where its specification cannot be read.

    A thousand steps ask for the same few, so each is looked for once.
    """
    for place in specification_places(name):
        try:
            with open(place, encoding="utf-8") as file:
                program = str(json.load(file)["argv"][0])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return sys.executable if program in _OWN_PYTHON else program
    # without a specification, Jupyter has one of its own for `python3`: ipykernel beside it
    return sys.executable if name in ("python", "python3") else None


def specification_places(name: str) -> tuple[str, ...]:
    """Where Jupyter looks for a kernel's specification, in its order."""
    from jupyter_core.paths import jupyter_path

    names = dict.fromkeys((name, name.lower()))
    return tuple(os.path.join(folder, each, "kernel.json") for folder in jupyter_path("kernels") for each in names)


def why_missing(name: str) -> UsageError | None:
    """What is wrong with the kernel of that name on this machine; None where it can be started."""
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
            hint=_way_out(close, installed),
        ) from error
    except OSError as error:
        raise UsageError(f"the specification of the kernel `{name}` cannot be read: {error}") from error


def _way_out(close: str | None, installed: Sequence[str]) -> str:
    if not installed:
        return "install a kernel: `python -m ipykernel install --user`"
    meant = f"did you mean `{close}`? " if close else ""
    usual = "python3" if "python3" in installed else installed[0]
    return f"{meant}`-k {close or usual}` runs every step in that one; or install the kernel"
