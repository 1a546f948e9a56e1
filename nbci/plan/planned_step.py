"""One step of a pipeline as the plan has it: its settings, parameters, program and key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.graph import by_name
from nbci.notebook.read import native_kernel
from nbci.pipeline.expressions import MetricTemplate, map_items
from nbci.pipeline.model import Step
from nbci.pipeline.notebook_parameters import declared_by_notebook, step_declared
from nbci.pipeline.resolve import step_parameters
from nbci.plan.model import PlannedStep
from nbci.plan.parts import setting_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.params import BoundParameter, Parameter
    from nbci.pipeline.model import Pipeline
    from nbci.plan.program import StepProgram

# What a step and its plan have under one name is taken over as it is; why the two types have no
# base in common: docs/decisions/0033-settings-by-name.md.
COPIED_SETTINGS = tuple(filter(PlannedStep.__struct_fields__.__contains__, Step.__struct_fields__))

_TEMPLATE = "${}"


class StepPlanner:
    """Makes the plan of each step of a pipeline that is resolved; `kernel` is one for all steps."""

    def __init__(
        self, pipeline: Pipeline, bound: Sequence[BoundParameter], kernel: str | None
    ) -> None:
        self._pipeline = pipeline
        self._bound = bound
        self._kernel = native_kernel(kernel)
        self._steps = by_name(pipeline.steps)
        self._declared = declared_by_notebook(pipeline)

    def plan(self, name: str, program: StepProgram, after: tuple[str, ...]) -> PlannedStep:
        """The step of that name, which runs the program behind the steps `after`."""
        step = self._steps[name]
        notebook = self._pipeline.notebooks[step.notebook].notebook
        settings = {key: getattr(step, key) for key in COPIED_SETTINGS}
        settings |= self._parameters(step)
        settings |= {
            "after": after,
            "cells": program.cells,
            # An empty mapping would stand in the plan's JSON, and ask for the same.
            "env": step.env or None,
            "cwd": step.working_folder,
        }
        planned = PlannedStep(
            **settings,
            # `python3` is what ipykernel's installation calls its kernel.
            kernel=self._kernel or notebook.kernel_name or "python3",
            language=notebook.language,
            takes=program.takes,
            gives=program.gives,
            optional_gives=program.optional_gives,
            defined_by_reference=program.defined_by_reference,
            probes=program.probes,
            gpu=step.wants_gpu,
        )
        key_parts = (*program.parts, *setting_parts(planned, program.named_params))
        return replace(planned, parts=key_parts)

    def _parameters(self, step: Step) -> dict[str, Any]:
        """The step's parameters: values, where these come from, types, which are overridden."""
        declared = self._declared[step.notebook]
        known = declared
        if step.composition:
            # A composition hands parameters of the notebook that refers to others down to them.
            known = step_declared(step, self._declared)
        params = step_parameters(self._pipeline, step, self._bound, known)

        types: dict[str, str] = {}
        defaults: dict[str, Any] = {}
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        overrides: list[str] = []
        for parameter in declared.parameters:
            defaults[parameter.name] = parameter.default
        for bound in params:
            values[bound.name] = _storable(bound.value)
            sources[bound.name] = bound.source
            if _is_override(bound, defaults, composed=bool(step.composition)):
                overrides.append(bound.name)
        for parameter in declared.parameters:
            if _is_typed(parameter, values):
                types[parameter.name] = parameter.type.annotation
        return {
            "params": values or None,
            "param_sources": sources or None,
            "param_types": types or None,
            "overrides": tuple(overrides),
        }


def _is_override(parameter: BoundParameter, defaults: Mapping[str, Any], *, composed: bool) -> bool:
    """Whether a value other than the literal of the notebook itself holds."""
    if composed and parameter.name not in defaults:
        return True
    if not composed and not parameter.overridden:
        return False
    return not _is_same(parameter.value, defaults.get(parameter.name))


def _is_typed(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    """Whether the parameter waits for a metric that has to become what it is declared as."""
    value = values.get(parameter.name)
    if restore_templates(value) == value:
        return False
    return parameter.type.kind != "any" or bool(parameter.type.choices)


def _is_same(value: Any, default: Any) -> bool:
    """Whether no cell can tell the one from the other: nor by an order, nor by 1 for True."""
    return type(value) is type(default) and repr(value) == repr(default)


def _storable(value: Any) -> Any:
    """The value as JSON can hold it; a template that waits for a metric is marked as one."""
    if isinstance(value, MetricTemplate):
        return {_TEMPLATE: value.text}
    return map_items(value, _storable)


def restore_templates(value: Any) -> Any:
    """The value as it was before the plan was stored: templates are templates again."""
    if isinstance(value, dict) and list(value) == [_TEMPLATE]:
        return MetricTemplate(text=value[_TEMPLATE])
    return map_items(value, restore_templates)
