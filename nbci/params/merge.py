"""Layers of values over declared parameters: every value knows where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import Location, UsageError, spelling_suffix
from nbci.graph import by_name
from nbci.params.parameter import BoundParameter
from nbci.params.types import MismatchError, conform, parse_text
from nbci.params.yaml_text import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.params.declared import CodeName
    from nbci.params.parameter import Parameter

ENVIRONMENT_PREFIX = "NBCI_PARAM_"


class Assignment(Struct, frozen=True, kw_only=True):
    """A value for a parameter.

    `text` values are read as the declared type says, others must have the type.
    """

    name: str
    value: Any
    source: str
    text: bool = False
    where: Location | None = None


def bind(
    parameters: Sequence[Parameter],
    layers: Iterable[Sequence[Assignment]],
    *,
    code_names: Sequence[CodeName] = (),
) -> tuple[BoundParameter, ...]:
    """Every parameter with its value: its default, or that of the last assignment.

    `layers` come weakest first. All assignments are checked, those that a stronger one replaces
    too. `code_names` make the error for a name that is bound by code in the parameters cells say
    so.
    """
    known = by_name(parameters)
    bound = {name: _default_of(parameter) for name, parameter in known.items()}
    for layer in layers:
        for assignment in layer:
            name = _known_name(assignment, known, code_names)
            value = _value_for(assignment, known[name], parameters)
            bound[name] = BoundParameter(
                name=name, value=value, source=assignment.source, overridden=True
            )
    return tuple(bound.values())


def _default_of(parameter: Parameter) -> BoundParameter:
    return BoundParameter(
        name=parameter.name, value=parameter.default, source=parameter.source, overridden=False
    )


def assigned_values(
    values: Mapping[str, Any], source: str, *, text: bool = False
) -> tuple[Assignment, ...]:
    """A layer from a mapping, such as what a Jenkins job hands over.

    `text`: those values that are text are read as the declared types say.
    """
    assignments = []
    for name, value in values.items():
        is_text = text and isinstance(value, str)
        assignments.append(Assignment(name=name, value=value, source=source, text=is_text))
    return tuple(assignments)


def assigned_in_environment(environ: Mapping[str, str]) -> tuple[Assignment, ...]:
    """The layer of the variables `NBCI_PARAM_NAME`."""
    assignments = []
    # In the order of their names: an environment has none that means something.
    for key, value in sorted(environ.items()):
        if key.startswith(ENVIRONMENT_PREFIX):
            name = key.removeprefix(ENVIRONMENT_PREFIX)
            source = f"environment {key}"
            assignments.append(Assignment(name=name, value=value, source=source, text=True))
    return tuple(assignments)


def assigned_in_file(path: str, content: str) -> tuple[Assignment, ...]:
    """The layer of a `-f` file: a YAML or JSON mapping of names to values.

    An empty file is an empty layer.
    """
    document = read_yaml(content, path)
    if document.data is None:
        return ()
    if not isinstance(document.data, dict):
        raise UsageError(
            "a parameters file is a mapping of names to values",
            hint="write lines like `C: 10`",
            where=document.where(()),
        )
    assignments = []
    for name, value in document.data.items():
        where = document.where((name,), key=True)
        source = f"-f {path}"
        assignments.append(Assignment(name=str(name), value=value, source=source, where=where))
    return tuple(assignments)


def assigned_on_command_line(pairs: Iterable[str]) -> tuple[Assignment, ...]:
    """The layer of `-p name=value`; what follows the first `=` is the value."""
    assignments = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"-p {pair!r} is not name=value", hint="write for example -p C=10")
        assignments.append(Assignment(name=name.strip(), value=value, source="-p", text=True))
    return tuple(assignments)


def listing(parameters: Sequence[Parameter]) -> str:
    """Every parameter with its type and default, for people."""
    if not parameters:
        return "there are no parameters: tag a cell `parameters` and assign literals in it"
    texts = [f"{one.name}: {one.type} = {one.default!r}" for one in parameters]
    return f"the parameters are {', '.join(texts)}"


def _known_name(
    assignment: Assignment, known: Mapping[str, Parameter], code_names: Sequence[CodeName]
) -> str:
    name = assignment.name
    if name in known:
        return name
    # Variables of an environment are often in capitals, and on Windows always.
    if assignment.source.startswith("environment "):
        same = [candidate for candidate in known if candidate.lower() == name.lower()]
        if len(same) == 1:
            return same[0]
    parameters = tuple(known.values())
    code = [entry for entry in code_names if entry.name == name]
    if code:
        raise UsageError(
            f"{code[-1]} ({assignment.source})", hint=listing(parameters), where=assignment.where
        )
    raise UsageError(
        f"unknown parameter {name!r}{spelling_suffix(name, known)}, from {assignment.source}",
        hint=listing(parameters),
        where=assignment.where,
    )


def _value_for(
    assignment: Assignment, parameter: Parameter, parameters: Sequence[Parameter]
) -> Any:
    try:
        if assignment.text:
            return parse_text(assignment.value, parameter.type)
        return conform(assignment.value, parameter.type)
    except MismatchError as error:
        raise UsageError(
            f"the parameter {parameter.name!r} takes {error}, from {assignment.source}",
            hint=listing(parameters),
            where=assignment.where,
        ) from error
