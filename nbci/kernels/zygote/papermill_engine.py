"""`papermill --engine nbci`: papermill as it is, with forked kernels."""

from __future__ import annotations

from typing import Any

from papermill.engines import NBClientEngine  # type: ignore[import-untyped]  # papermill has no types

from nbci.kernels.zygote.imports import imports_of
from nbci.kernels.zygote.manager import ForkingKernelManager


class NbciEngine(NBClientEngine):  # type: ignore[misc]  # papermill is untyped
    """papermill's own engine with another kernel manager."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Run the notebook as papermill would; what it imports is imported before its kernel is forked."""
        imports = imports_of(cell.source for cell in nb_man.nb.cells if cell.cell_type == "code")
        manager = type("Manager", (ForkingKernelManager,), {"preloads": imports})
        return super().execute_managed_notebook(nb_man, kernel_name, kernel_manager_class=manager, **kwargs)
