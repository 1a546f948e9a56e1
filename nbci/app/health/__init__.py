"""What this machine has of what nbci needs or can use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.app.health.folders import check_disk, check_project, check_runtime, check_temporary
from nbci.app.health.inventory import Inventory, take_inventory
from nbci.app.health.kernels import check_kernels
from nbci.app.health.machine import (
    check_locale,
    check_memory,
    check_processors,
    check_shared_memory,
)
from nbci.app.health.programs import (
    check_dvc,
    check_git,
    check_gpu,
    check_installer,
    check_nbci,
    check_python,
)
from nbci.health_check import Check

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Check", "Inventory", "examine", "take_inventory"]


def examine(here: Path, *, start_kernels: bool = False) -> tuple[Check, ...]:
    """Look at everything, for the project around `here`."""
    # What every run needs comes first, what only some steps ask for last.
    return (
        check_python(),
        check_nbci(),
        *check_kernels(start=start_kernels),
        check_project(here),
        check_disk(here),
        check_temporary(),
        check_runtime(),
        check_shared_memory(),
        check_locale(),
        check_processors(),
        check_memory(),
        check_git(here),
        check_installer(),
        check_gpu(),
        check_dvc(),
    )
