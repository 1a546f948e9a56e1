"""Which kernels are installed, and whether they can start."""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.app.health.programs import command_output
from nbci.health_check import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.kernelspec import KernelSpec

_KERNEL_SECONDS = 60
_OWN_INTERPRETER = ("python", "python3", f"python3.{sys.version_info[1]}")


def check_kernels(*, start: bool) -> Iterator[Check]:
    """Each installed kernel; without any that can start there is nothing to run steps in."""
    from jupyter_client.kernelspec import KernelSpecManager

    manager = KernelSpecManager()
    usable = 0
    for name, folder in sorted(manager.find_kernel_specs().items()):
        try:
            check = _check_kernel(name, manager.get_kernel_spec(name), start=start)
        # A specification is another tool's file, and anything can be wrong with it.
        except Exception as error:  # noqa: BLE001 - see above
            check = _note(name, f"{folder}: {error}", "install it anew")
        usable += check.state == "ok"
        yield check

    if not usable:
        yield Check(
            name="kernels",
            state="missing",
            found="no kernel that can start",
            advice=f"{sys.executable} -m pip install ipykernel",
        )


def _check_kernel(name: str, spec: KernelSpec, *, start: bool) -> Check:
    first = spec.argv[0] if spec.argv else ""
    program = _program(first)
    if program is None:
        return _note(
            name,
            f"its program {first or '(none)'} does not exist",
            f"install it anew, or remove it: jupyter kernelspec remove {name}",
        )

    found = f"{str(spec.language).lower()}, {program}"
    if "ipykernel_launcher" in spec.argv or "ipykernel" in spec.argv:
        version = _ipykernel_version(program)
        if not version:
            advice = f"{program} -m pip install ipykernel"
            return _note(name, f"{found}, ipykernel not there", advice)
        found += f", ipykernel {version}"

    if start:
        problem = _start_problem(name)
        if problem is not None:
            return _note(name, f"does not start: {problem}", "install it anew")
        found += ", starts"
    return Check(name=f"kernel {name}", state="ok", found=found)


def _note(kernel: str, found: str, advice: str) -> Check:
    """A kernel that cannot be used: no failure yet, since steps may ask for other kernels."""
    return Check(name=f"kernel {kernel}", state="note", found=found, advice=advice)


def _program(first: str) -> str | None:
    # jupyter_client takes its own interpreter where a specification says plain `python`.
    if first in _OWN_INTERPRETER:
        return sys.executable
    return shutil.which(first)


def _ipykernel_version(program: str) -> str | None:
    # In the interpreter that runs nbci no process is needed to see it.
    if Path(program) == Path(sys.executable):
        try:
            return metadata.version("ipykernel")
        except metadata.PackageNotFoundError:
            return None
    code = "from importlib.metadata import version; print(version('ipykernel'))"
    return command_output([program, "-c", code])


def _start_problem(name: str) -> str | None:
    """Why the kernel does not start; None when it does."""
    from jupyter_client.manager import start_new_kernel

    try:
        manager, client = start_new_kernel(startup_timeout=_KERNEL_SECONDS, kernel_name=name)
    except Exception as error:  # noqa: BLE001 - any cause is the answer
        return str(error) or type(error).__name__
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    return None
