"""Write the part of a Jenkinsfile that follows from the pipeline.

What stands around that part is its author's, and stays.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from nbci.errors import Location, UsageError
from nbci.jenkins.groovy import quoted
from nbci.jenkins.parameters import JenkinsParameter, jenkins_parameter
from nbci.pipeline.step_kinds import kind_of_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.pipeline.model import Pipeline

_DECISION = JenkinsParameter(
    name="NBCI_DECISION",
    kind="string",
    default="",
    help="the decision of nbci retrain that this build follows from; empty for any other build",
)
_BEGIN, _END = "// >>> nbci", "// <<< nbci"
_PART = re.compile(rf"^{re.escape(_BEGIN)}\b.*?^{re.escape(_END)}[^\n]*$", re.MULTILINE | re.DOTALL)
_TARGET = re.compile(rf"^{re.escape(_BEGIN)}: from (\S+?)[;,]?(?:\s|$)", re.MULTILINE)


def generated_part(pipeline: Pipeline) -> str:
    """The marked lines: properties of the job, and the names `nbciTarget` and `nbciParameters`."""
    own = [jenkins_parameter(parameter) for parameter in pipeline.params]
    parameters = own
    # The library starts this job with it where a monitor refuses; nbci reads it by this name.
    if "monitor" in (pipeline.triggers or {}):
        parameters = [*own, _DECISION]
    first_line = (
        f"{_BEGIN}: from {pipeline.target}; `nbci jenkins init` writes these lines anew,"
        " the others are yours"
    )
    lines = [
        first_line,
        *_properties(parameters, pipeline.triggers or {}, pipeline.builds or {}),
        f"def nbciTarget = {quoted(pipeline.target)}",
        "def nbciParameters = [:]",
        *map(_assignment, own),
        _END,
    ]
    return "\n".join(lines)


def whole_file(pipeline: Pipeline, library: str) -> str:
    """A first Jenkinsfile; `library` is the line that loads the shared library."""
    options = ["target: nbciTarget", "parameters: nbciParameters", "label: 'linux'"]
    # each label under its own name, for the author to put this controller's in its place
    labels = sorted({step.agent for step in pipeline.steps if step.agent})
    if labels:
        entries = ", ".join(f"{quoted(label)}: {quoted(label)}" for label in labels)
        options.append(f"labels: [{entries}]")

    step = "nbciPipeline"
    if watches(pipeline):
        step = "nbciMonitor"
        options[0] = "pipeline: nbciTarget"
    hint = (
        "// make nbci available in this workspace here, unless the agents have it;"
        " `command:` says where it is"
    )
    return f"""{library}

{generated_part(pipeline)}

{step}({", ".join(options)}) {{
  checkout scm
  {hint}
}}
"""


def watches(pipeline: Pipeline) -> bool:
    """Whether a step of it judges a window of data."""
    kinds = [kind_of_notebook(step.notebook) for step in pipeline.steps]
    return any(kind is not None and kind.name == "monitor" for kind in kinds)


def target_of(text: str) -> str:
    """The notebook or pipeline file that the generated part was made from."""
    part = _find_part(text)
    found = _TARGET.search(part[0])
    if found is None:
        raise UsageError(
            "the generated part does not say what it was made from",
            hint="name the notebook or pipeline: nbci jenkins init TARGET",
            where=Location("Jenkinsfile"),
        )
    return found[1]


def update_part(text: str, pipeline: Pipeline) -> str:
    """Replace the generated part of a file, in the file's own line endings."""
    part = _find_part(text)
    fresh = generated_part(pipeline)
    end = part.end()
    if "\r\n" in text:
        fresh = fresh.replace("\n", "\r\n")
        # the part ends before the newline of its last line, whose carriage return is not its own
        if part[0].endswith("\r"):
            end -= 1
    return text[: part.start()] + fresh + text[end:]


def changes(old: str, new: str, path: str) -> str:
    """The difference between two texts as a unified diff; empty when there is none."""
    lines = difflib.unified_diff(
        old.splitlines(),
        new.splitlines(),
        f"{path} (as it is)",
        f"{path} (as it would be)",
        lineterm="",
    )
    return "\n".join(lines)


def _find_part(text: str) -> re.Match[str]:
    found = list(_PART.finditer(text))
    # a second beginning would be taken for text of the part, and be lost with it
    if len(found) == 1 and text.count(_BEGIN) == 1:
        return found[0]

    problem = "the marks of the generated part are not one pair"
    if not found:
        problem = "there is no generated part in it"
    raise UsageError(
        problem,
        hint=f"put the lines `{_BEGIN}` and `{_END}` where it is to stand,"
        " then `nbci jenkins init TARGET`",
        where=Location("Jenkinsfile"),
    )


def _properties(
    parameters: list[JenkinsParameter], triggers: Mapping[str, Any], builds: Mapping[str, Any]
) -> Iterator[str]:
    """The lines of one call of `properties`: each call replaces all properties of the job."""
    calls = ", ".join(_triggers(triggers))
    if calls:
        yield f"def nbciStartsHere = {_trigger_condition(triggers)}"

    yield "properties(["
    if parameters:
        yield "  parameters(["
        yield from (f"    {parameter.groovy}," for parameter in parameters)
        yield "  ]),"
    # also without triggers: what an earlier version of the pipeline has set is to end
    if calls:
        yield f"  pipelineTriggers(nbciStartsHere ? [{calls}] : []),"
    else:
        yield "  pipelineTriggers([]),"
    if "keep" in builds:
        yield f"  buildDiscarder(logRotator(numToKeepStr: {quoted(str(builds['keep']))})),"
    at_once = builds.get("at_once", "all")
    if at_once != "all":
        abort = str(at_once == "newest").lower()
        yield f"  disableConcurrentBuilds(abortPrevious: {abort}),"
    yield "])"


def _trigger_condition(triggers: Mapping[str, Any]) -> str:
    """The Groovy condition for a build whose branch gets the triggers.

    Every branch and pull request runs the same Jenkinsfile, and each would start by itself.
    """
    if "branches" in triggers:
        branches = ", ".join(map(quoted, triggers["branches"]))
        return f"!env.CHANGE_ID && [{branches}].contains(env.BRANCH_NAME)"
    # a plain job has no BRANCH_NAME; in a multibranch one, only the primary branch has the other
    return "!env.CHANGE_ID && (!env.BRANCH_NAME || env.BRANCH_IS_PRIMARY == 'true')"


def _triggers(triggers: Mapping[str, Any]) -> Iterator[str]:
    # `data` is a timer, too: the library then asks nbci whether imported data has changed
    for key, call in (("cron", "cron"), ("data", "cron"), ("poll", "pollSCM")):
        lines = _as_list(triggers.get(key))
        if lines:
            yield f"{call}({quoted(chr(10).join(lines))})"
    if triggers.get("after"):
        yield f"upstream(upstreamProjects: {quoted(', '.join(_as_list(triggers['after'])))})"


def _as_list(given: str | list[str] | None) -> list[str]:
    if isinstance(given, str):
        return [given]
    return list(given or ())


def _assignment(parameter: JenkinsParameter) -> str:
    """The line that hands a parameter of the build to nbci."""
    name = parameter.name
    assignment = f"nbciParameters.{name} = params.{name}"
    # left empty, it is not passed on, and the pipeline's own default counts
    if parameter.optional:
        return f"if (params.{name}) {{ {assignment} }}"
    return assignment
