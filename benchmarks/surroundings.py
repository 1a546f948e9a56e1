"""Where the measured commands run.

nbci has a cache and warm kernels for the benchmark alone, and each peer its own environment.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

PYTHON = Path(sys.executable)


def nbci(*arguments: str | Path) -> list[str]:
    """The command line of nbci: the installed command, or the module.

    The module is for where only the package is on the path.
    """
    command = PYTHON.parent / "nbci"
    start = [str(command)] if command.exists() else [str(PYTHON), "-m", "nbci"]
    return [*start, *map(str, arguments)]


def of_nbci(folder: Path) -> dict[str, str]:
    """Environment variables for nbci that keep it inside the folder.

    Nothing of the user's is read or changed.
    """
    runtime = folder / "run"
    folder.mkdir(exist_ok=True)
    runtime.mkdir(exist_ok=True, mode=0o700)
    left_out = ("NBCI_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "NBCI_CACHE": str(folder / "cache"), "XDG_RUNTIME_DIR": str(runtime)}


def of_others(folder: Path) -> dict[str, str]:
    """Environment variables for a peer: none of this Python's own, and no home but the folder."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NBCI_", "PYTHON", "VIRTUAL_"))
    }
    return {
        **kept,
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / ".ipython"),
        "DVC_NO_ANALYTICS": "1",
    }


def same_versions(*names: str) -> list[str]:
    """Requirements for what this environment has, so that a peer runs the same."""
    return [f"{name}=={version(name)}" for name in names]


def peer(places: Path, name: str, requirements: Sequence[str]) -> Path:
    """The folder of a peer's commands.

    The environment is made once for these requirements and this Python.
    """
    wanted = "\n".join([sys.version, *requirements])
    place = places / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if not (place / "made").exists():
        print(f"… making an environment for {name} in {place}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        pip = [str(place / "bin" / "pip"), "--quiet", "--disable-pip-version-check"]
        if subprocess.run(
            [*pip, "install", *requirements], check=False, env=of_others(place)
        ).returncode:
            raise Wrong(f"pip could not install {' '.join(requirements)}: is there a network?")
        (place / "made").write_text(wanted, encoding="utf-8")
    return place / "bin"


def papermill(places: Path) -> Path:
    """Papermill and nbclient, with the kernel and the packages that nbci's kernels have."""
    return peer(
        places,
        "papermill",
        ["papermill", *same_versions("ipykernel", "numpy", "pandas", "scikit-learn")],
    )


def optuna_papermill(places: Path) -> Path:
    """Optuna as nbci has it, and papermill with the same kernel."""
    return peer(places, "optuna", ["papermill", *same_versions("optuna", "ipykernel")])


def nbconvert(places: Path) -> Path:
    """nbconvert, with the styles of its pages."""
    return peer(places, "nbconvert", ["nbconvert"])


def dvc(places: Path) -> Path:
    """DVC as nbci has it."""
    return peer(places, "dvc", same_versions("dvc"))


def ploomber(places: Path) -> Path:
    """Ploomber: its last release is 0.23.3, of September 2024."""
    return peer(places, "ploomber", ["ploomber==0.23.3", *same_versions("ipykernel")])


def mlserver(places: Path) -> Path:
    """MLServer, with the packages that its model has."""
    # With a newer uvloop, the processes of its pool end at once.
    pinned = ["mlserver==1.7.1", "uvloop==0.21.0"]
    return peer(places, "mlserver", [*pinned, *same_versions("numpy", "onnxruntime")])


def bentoml(places: Path) -> Path:
    """BentoML, with the packages that its model has."""
    return peer(places, "bentoml", ["bentoml==1.4.40", *same_versions("numpy", "onnxruntime")])
