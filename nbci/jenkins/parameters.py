"""A pipeline's parameters as Jenkins shows them under "Build with Parameters"."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nbci.jenkins.groovy import quoted

if TYPE_CHECKING:
    from nbci.params.parameter import Parameter

_LONG = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class JenkinsParameter:
    """What Jenkins knows of a parameter: `default` is text, also for a boolean; of a choice, it is
    the first one.

    `optional`: left empty, the pipeline's own default counts.
    """

    name: str
    kind: Literal["string", "booleanParam", "choice", "text"]
    default: str
    help: str
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def groovy(self) -> str:
        """The call that declares it."""
        given = [f"name: {quoted(self.name)}"]
        if self.kind == "choice":
            given.append(f"choices: [{', '.join(map(quoted, self.choices))}]")
        elif self.kind == "booleanParam":
            given.append(f"defaultValue: {self.default}")
        else:
            given.append(f"defaultValue: {quoted(self.default)}")
        given.append(f"description: {quoted(self.help)}")
        return f"{self.kind}({', '.join(given)})"


def jenkins_parameter(parameter: Parameter) -> JenkinsParameter:
    """A parameter, typed as nearly as Jenkins can: nbci checks the values again."""
    kind, default = parameter.type, parameter.default
    typed = f"({kind})" if kind.kind not in {"str", "any"} else ""
    said = " ".join(filter(None, (parameter.help, typed)))
    optional = default is None
    if kind.choices:
        others = [choice for choice in kind.choices if choice != default]
        shown = tuple(
            _text(choice) for choice in ([default, *others] if not optional else [*others])
        )
        return JenkinsParameter(
            name=parameter.name,
            kind="choice",
            default=("" if optional else shown[0]),
            help=parameter.help or "",
            choices=("", *shown) if optional else shown,
            optional=optional,
        )
    if kind.kind == "bool" and isinstance(default, bool):
        return JenkinsParameter(
            name=parameter.name,
            kind="booleanParam",
            default=_text(default),
            help=parameter.help or "",
        )
    # text for a parameter of any type is read as JSON or YAML
    text = (
        ""
        if optional
        else json.dumps(default, ensure_ascii=False)
        if kind.kind == "any"
        else _text(default)
    )
    long = kind.kind in {"list", "dict", "tuple"} or "\n" in text or len(text) > _LONG
    return JenkinsParameter(
        name=parameter.name,
        kind="text" if long else "string",
        default=text,
        help=said,
        optional=optional,
    )


def _text(value: Any) -> str:
    """A value as `-p NAME=VALUE` takes it."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
