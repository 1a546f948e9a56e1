"""`papermill --engine nbci`: papermill as it is, with forked kernels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from papermill.engines import NBClientEngine  # type: ignore[import-untyped]  # no types there

from nbci.kernels.zygote.environment_first import changes_environment_first, import_folders
from nbci.kernels.zygote.imports import imports_of
from nbci.kernels.zygote.manager import ForkingKernelManager


class NbciEngine(NBClientEngine):  # type: ignore[misc]  # papermill is untyped
    """papermill's own engine with another kernel manager."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Run the notebook as papermill would, in a kernel that has its imports already."""
        sources = [cell.source for cell in nb_man.nb.cells if cell.cell_type == "code"]
        folders = import_folders(Path(kwargs.get("cwd") or "."), dict(os.environ))
        settings = {
            "preloads": imports_of(sources),
            "bare": changes_environment_first(sources, folders),
        }
        # papermill takes a class and makes the manager, so the class has to bring the settings.
        manager = type("Manager", (ForkingKernelManager,), settings)
        return super().execute_managed_notebook(
            nb_man, kernel_name, kernel_manager_class=manager, **kwargs
        )
