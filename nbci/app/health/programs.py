"""Which programs are there: Python and nbci, git, uv or pip, the GPU's driver, DVC."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import nbci
from nbci.health_check import Check

_OLDEST, _NEWEST = (3, 11), (3, 13)
_COMMAND_SECONDS = 20


def check_python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    if _OLDEST <= sys.version_info[:2] <= _NEWEST:
        return Check(name="Python", state="ok", found=found)
    return Check(
        name="Python", state="missing", found=found, advice="nbci needs Python 3.11, 3.12 or 3.13"
    )


def check_nbci() -> Check:
    found = f"{nbci.__version__} in {Path(nbci.__file__).parent}"
    return Check(name="nbci", state="ok", found=found)


def check_git(here: Path) -> Check:
    version = command_output(["git", "--version"])
    if version is None:
        return Check(
            name="git",
            state="note",
            found="not there",
            advice="install git: records name the commit that ran",
        )

    number = version.removeprefix("git version ")
    name = command_output(["git", "-C", str(here), "config", "user.name"])
    address = command_output(["git", "-C", str(here), "config", "user.email"])
    if name and address:
        return Check(name="git", state="ok", found=f"{number}, {name} <{address}>")
    # Promotions make commits and tags, which need one.
    return Check(
        name="git",
        state="note",
        found=f"{number}, without an identity",
        advice="git config --global user.name NAME; git config --global user.email ADDRESS",
    )


def check_installer() -> Check:
    """What makes the environments of steps that ask for one."""
    uv = command_output(["uv", "--version"])
    if uv is not None:
        return Check(name="environments", state="ok", found=f"made by {uv}")
    try:
        return Check(
            name="environments",
            state="ok",
            found=f"made by pip {metadata.version('pip')}; uv is quicker",
        )
    except metadata.PackageNotFoundError:
        return Check(
            name="environments",
            state="note",
            found=f"neither uv, nor pip in {sys.prefix}",
            advice="install uv, if a step asks for an environment",
        )


def gpu_names() -> list[str]:
    """The models of the GPUs that nvidia-smi shows, one for each GPU."""
    listed = command_output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])
    return (listed or "").splitlines()


def check_gpu() -> Check:
    names = gpu_names()
    if names:
        return Check(name="GPU", state="ok", found=", ".join(names))
    # In a container without the GPU runtime, the host's driver is seen, but no GPU.
    if Path("/proc/driver/nvidia/version").exists():
        return Check(
            name="GPU",
            state="note",
            found="a driver, but nvidia-smi names no GPU",
            advice="see nvidia-smi's message",
        )
    return Check(name="GPU", state="ok", found="none; steps that ask for one run without")


def check_dvc() -> Check:
    version = command_output(["dvc", "--version"])
    return Check(name="dvc", state="ok", found=version or "not there; nothing needs it yet")


def command_output(command: list[str]) -> str | None:
    """What the command printed, if it ended well."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    return done.stdout.strip()
