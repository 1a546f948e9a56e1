"""Names of registry tags, in GTO's grammar: one table of templates and one parser.

`digits@v1.2.0` registers a version, `digits#production#4` puts the version of the tag's commit into
a stage; `!` takes either back. The number counts the events of a model. A model of a project in a
folder of its repository is `folder:digits`, in tags `folder=digits`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from nbci.errors import UsageError

Action = Literal["register", "deregister", "assign", "unassign", "deprecate"]

TEMPLATES: dict[Action, str] = {
    "register": "{model}@{version}",
    "deregister": "{model}@{version}!",
    "assign": "{model}#{stage}#{number}",
    "unassign": "{model}#{stage}!#{number}",
    "deprecate": "{model}@deprecated",
}

DEPLOYED = "deployed-"
"""How the stages begin that say where a release runs: `digits#deployed-local#5`.

For GTO and DVC they are stages like others; promotion has nothing to do with them.
"""

_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9\-/_]*[a-zA-Z0-9])?"
_FOLDER = r"[a-zA-Z0-9\-_./]+"
_NUMBER = r"(?:0|[1-9]\d*)"
_WORD = rf"(?:{_NUMBER}|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_VERSION = (
    rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    rf"(?:-{_WORD}(?:\.{_WORD})*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)  # fmt: skip
_MODEL = rf"(?:{_FOLDER}{{separator}})?{_NAME}"
_TAG = re.compile(
    rf"(?P<model>{_MODEL.format(separator='=')})"
    rf"(?:(?:#(?P<stage>{_NAME})|@(?P<version>{_VERSION}))(?P<off>!?)|@(?P<deprecated>deprecated))"
    r"(?:#(?P<number>[0-9]+))?",
    re.ASCII,
)
_REFERENCE = re.compile(
    rf"(?P<model>{_MODEL.format(separator=':')})"
    rf"(?:#(?P<stage>{_NAME})|@(?P<version>latest|{_VERSION}))?",
    re.ASCII,
)
_VERSION_ONLY = re.compile(_VERSION, re.ASCII)
_NAME_ONLY = re.compile(_NAME, re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagName:
    """What the name of a registry tag says."""

    action: Action
    model: str
    version: str | None = None
    stage: str | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A model as users name it.

    For example `digits`, `digits@v1.2.0`, `digits@latest` or `digits#production`.
    """

    model: str
    version: str | None = None
    stage: str | None = None


def parse_tag(name: str) -> TagName | None:
    """What the tag says; None when it is no registry tag.

    >>> parse_tag("digits#production#4")
    TagName(action='assign', model='digits', version=None, stage='production', number=4)
    """
    match = _TAG.fullmatch(name)
    if match is None:
        return None
    number = None
    if match["number"]:
        number = int(match["number"])
    return TagName(
        action=_action_of(match),
        # git allows no `:` in the name of a ref, so tags have `=` in its place
        model=match["model"].replace("=", ":"),
        version=match["version"],
        stage=match["stage"],
        number=number,
    )


def _action_of(match: re.Match[str]) -> Action:
    if match["deprecated"]:
        return "deprecate"
    takes_back = bool(match["off"])
    if match["version"]:
        return "deregister" if takes_back else "register"
    return "unassign" if takes_back else "assign"


def tag_patterns(model: str) -> tuple[str, str]:
    """The refs that hold what happened to a model: its versions, and its stages.

    >>> tag_patterns("folder:digits")
    ('refs/tags/folder=digits@*', 'refs/tags/folder=digits#*')
    """
    name = model.replace(":", "=")
    return f"refs/tags/{name}@*", f"refs/tags/{name}#*"


def tag_name(tag: TagName) -> str:
    """The name of the tag that says this.

    >>> tag_name(TagName(action="register", model="digits", version="v1.2.0"))
    'digits@v1.2.0'
    """
    model = tag.model.replace(":", "=")
    return TEMPLATES[tag.action].format(
        model=model, version=tag.version, stage=tag.stage, number=tag.number
    )


def parse_reference(text: str) -> Reference:
    """A model, or a version or stage of it, as users write them; a version may lack its `v`."""
    model, _, version = text.partition("@")
    meant = text
    # users may write digits@1.2.0 for digits@v1.2.0
    if version[:1].isdigit():
        meant = f"{model}@v{version}"
    match = _REFERENCE.fullmatch(meant)
    if match is None:
        raise UsageError(
            f"{text!r} names no model",
            hint="write NAME, NAME@v1.2.0, NAME@latest or NAME#production",
        )
    return Reference(model=match["model"], version=match["version"], stage=match["stage"])


def check_model_name(name: str) -> None:
    """UsageError when tags cannot carry the name of a model or stage."""
    if not _NAME_ONLY.fullmatch(name):
        raise UsageError(
            f"{name!r} can be no name in a registry tag",
            hint="names are letters, digits, `-`, `_` and `/`, "
            "with a letter or digit first and last",
        )


def check_stage_name(name: str) -> None:
    """UsageError when a release cannot be promoted into a stage of that name."""
    check_model_name(name)
    if name.startswith(DEPLOYED):
        raise UsageError(
            f"{name!r} can be no stage: such names say where a release runs",
            hint=f"nbci deploy MODEL@VERSION {name.removeprefix(DEPLOYED)} deploys it there",
        )


def check_version(text: str) -> str:
    """A semantic version as tags have it, with `v`; UsageError when it is none."""
    version = "v" + text.removeprefix("v")
    if not _VERSION_ONLY.fullmatch(version):
        raise UsageError(f"{text!r} is no semantic version", hint="write one such as 1.2.0")
    return version
