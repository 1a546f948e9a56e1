"""The part of a Jenkinsfile that follows from the pipeline; what stands around it is its author's."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from nbci.errors import Location, UsageError
from nbci.jenkins.groovy import quoted
from nbci.jenkins.parameters import jenkins_parameter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.jenkins.parameters import JenkinsParameter
    from nbci.pipeline.model import Pipeline

_BEGIN, _END = "// >>> nbci", "// <<< nbci"
_PART = re.compile(rf"^{re.escape(_BEGIN)}\b.*?^{re.escape(_END)}[^\n]*$", re.MULTILINE | re.DOTALL)
_TARGET = re.compile(rf"^{re.escape(_BEGIN)}: from (\S+?)[;,]?(?:\s|$)", re.MULTILINE)


def generated_part(pipeline: Pipeline) -> str:
    """The marked lines: properties of the job, and the names `nbciTarget` and `nbciParameters` for
    what follows.
    """
    parameters = [jenkins_parameter(parameter) for parameter in pipeline.params]
    lines = [
        f"{_BEGIN}: from {pipeline.target}; `nbci jenkins init` writes these lines anew, the others are yours",
        *_properties(parameters, pipeline.triggers or {}, pipeline.builds or {}),
        f"def nbciTarget = {quoted(pipeline.target)}",
        "def nbciParameters = [:]",
        *map(_taken, parameters),
        _END,
    ]
    return "\n".join(lines)


def whole_file(pipeline: Pipeline, library: str) -> str:
    """A first Jenkinsfile; `library` is the line that loads the shared library."""
    labels = sorted({step.agent for step in pipeline.steps if step.agent})
    options = ["target: nbciTarget", "parameters: nbciParameters", "label: 'linux'"]
    if labels:
        options.append(
            "labels: [" + ", ".join(f"{quoted(label)}: {quoted(label)}" for label in labels) + "]"
        )
    return f"""{library}

{generated_part(pipeline)}

nbciPipeline({", ".join(options)}) {{
  checkout scm
  // make nbci available in this workspace here, unless the agents have it; `command:` says where it is
}}
"""


def target_of(text: str) -> str:
    """The notebook or pipeline file that the generated part was made from."""
    part = _part(text)
    found = _TARGET.search(part[0])
    if found is None:
        raise UsageError(
            "the generated part does not say what it was made from",
            hint="name the notebook or pipeline: nbci jenkins init TARGET",
            where=Location("Jenkinsfile"),
        )
    return found[1]


def updated(text: str, pipeline: Pipeline) -> str:
    """The file with its generated part made anew, in the file's own line endings."""
    part = _part(text)
    fresh = generated_part(pipeline)
    if "\r\n" in text:
        fresh = fresh.replace("\n", "\r\n")
        end = part.end() - 1 if part[0].endswith("\r") else part.end()
    else:
        end = part.end()
    return text[: part.start()] + fresh + text[end:]


def changes(old: str, new: str, path: str) -> str:
    """What would change, as a diff; empty when nothing would."""
    lines = difflib.unified_diff(
        old.splitlines(),
        new.splitlines(),
        f"{path} (as it is)",
        f"{path} (as it would be)",
        lineterm="",
    )
    return "\n".join(lines)


def _part(text: str) -> re.Match[str]:
    found = list(_PART.finditer(text))
    if len(found) != 1 or text.count(_BEGIN) != 1:
        raise UsageError(
            "there is no generated part in it"
            if not found
            else "the marks of the generated part are not one pair",
            hint=f"put the lines `{_BEGIN}` and `{_END}` where it is to stand, then `nbci jenkins init TARGET`",
            where=Location("Jenkinsfile"),
        )
    return found[0]


def _properties(
    parameters: list[JenkinsParameter], triggers: Mapping[str, Any], builds: Mapping[str, Any]
) -> Iterator[str]:
    """One call: each call replaces all properties of the job."""
    calls = ", ".join(_triggers(triggers))
    if calls:
        yield f"def nbciStartsHere = {_where(triggers)}"
    yield "properties(["
    if parameters:
        yield "  parameters(["
        yield from (f"    {parameter.groovy}," for parameter in parameters)
        yield "  ]),"
    yield (
        f"  pipelineTriggers(nbciStartsHere ? [{calls}] : []),"
        if calls
        else "  pipelineTriggers([]),"
    )
    if "keep" in builds:
        yield f"  buildDiscarder(logRotator(numToKeepStr: {quoted(str(builds['keep']))})),"
    if builds.get("at_once", "all") != "all":
        yield f"  disableConcurrentBuilds(abortPrevious: {'true' if builds['at_once'] == 'newest' else 'false'}),"
    yield "])"


def _where(triggers: Mapping[str, Any]) -> str:
    """Whether a build is of a branch that starts by itself: every branch and change runs the same
    Jenkinsfile.
    """
    if "branches" in triggers:
        return f"!env.CHANGE_ID && [{', '.join(map(quoted, triggers['branches']))}].contains(env.BRANCH_NAME)"
    return "!env.CHANGE_ID && (!env.BRANCH_NAME || env.BRANCH_IS_PRIMARY == 'true')"


def _triggers(triggers: Mapping[str, Any]) -> Iterator[str]:
    for key, call in (("cron", "cron"), ("data", "cron"), ("poll", "pollSCM")):
        lines = _listed(triggers.get(key))
        if lines:
            yield f"{call}({quoted(chr(10).join(lines))})"
    if triggers.get("after"):
        yield f"upstream(upstreamProjects: {quoted(', '.join(_listed(triggers['after'])))})"


def _listed(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())


def _taken(parameter: JenkinsParameter) -> str:
    name = parameter.name
    taken = f"nbciParameters.{name} = params.{name}"
    return f"if (params.{name}) {{ {taken} }}" if parameter.optional else taken
