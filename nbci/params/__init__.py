"""Parameters: declared by literals, overridden in layers, injected in the notebook's language.

Pure.
"""

from __future__ import annotations

from nbci.params.declared import (
    CodeName,
    Declared,
    declared_parameters,
)
from nbci.params.merge import (
    Assignment,
    assigned_in_environment,
    assigned_in_file,
    assigned_on_command_line,
    assigned_values,
    bind,
)
from nbci.params.override import OverriddenCells, override_cells
from nbci.params.parameter import BoundParameter, Parameter
from nbci.params.types import ParameterType

__all__ = [
    "Assignment",
    "BoundParameter",
    "CodeName",
    "Declared",
    "OverriddenCells",
    "Parameter",
    "ParameterType",
    "assigned_in_environment",
    "assigned_in_file",
    "assigned_on_command_line",
    "assigned_values",
    "bind",
    "declared_parameters",
    "override_cells",
]
