"""A pipeline's parameters as Jenkins shows them under "Build with Parameters"."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nbci.jenkins.groovy import quoted

if TYPE_CHECKING:
    from nbci.params.parameter import Parameter

JenkinsKind = Literal["string", "booleanParam", "choice", "text"]
"""The step of a Jenkinsfile that declares a parameter."""
_LONG = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class JenkinsParameter:
    """What Jenkins knows of a parameter.

    `default` is text, also for a boolean; of a choice, it is the first one. `optional`: left empty,
    the pipeline's own default counts.
    """

    name: str
    kind: JenkinsKind
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
    """Declare a parameter with the nearest type that Jenkins has: nbci checks the values again."""
    kind, default = parameter.type, parameter.default
    if kind.choices:
        return _choice(parameter)
    if kind.kind == "bool" and isinstance(default, bool):
        return JenkinsParameter(
            name=parameter.name,
            kind="booleanParam",
            default=_text(default),
            help=parameter.help or "",
        )

    if default is None:
        text = ""
    elif kind.kind == "any":
        # the value is read as JSON or YAML, in which a text like "1" needs its quotes
        text = json.dumps(default, ensure_ascii=False)
    else:
        text = _text(default)

    # a "string" is a field of one line, in which Jenkins would drop the others
    shown_as: Literal["string", "text"] = "string"
    if kind.kind in {"list", "dict", "tuple"} or "\n" in text or len(text) > _LONG:
        shown_as = "text"

    # the page shows no type, and a wrong value is refused only when the build runs
    help_parts = [parameter.help]
    if kind.kind not in {"str", "any"}:
        help_parts.append(f"({kind})")
    return JenkinsParameter(
        name=parameter.name,
        kind=shown_as,
        default=text,
        help=" ".join(filter(None, help_parts)),
        optional=default is None,
    )


def _choice(parameter: Parameter) -> JenkinsParameter:
    """A parameter with choices; to Jenkins, the first of them is the default."""
    default = parameter.default
    choices = [_text(choice) for choice in parameter.type.choices or () if choice != default]
    # an empty choice stands for the pipeline's own default, of which there may be none to show
    first = "" if default is None else _text(default)
    return JenkinsParameter(
        name=parameter.name,
        kind="choice",
        default=first,
        help=parameter.help or "",
        choices=(first, *choices),
        optional=default is None,
    )


def _text(value: Any) -> str:
    """A value as `-p NAME=VALUE` takes it."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
