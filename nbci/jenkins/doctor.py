"""What a controller has of what nbci's pipelines need or can use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from nbci.errors import NbciError
from nbci.jenkins.bringup import NEEDED_PLUGINS, OPTIONAL_PLUGINS
from nbci.jenkins.controller import job_path
from nbci.jenkins.place import find_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.jenkins.controller import Controller

_OLDEST = (2, 479)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_LABELS_OPTION = re.compile(r"\blabels:\s*\[(.*?)\]", re.DOTALL)
_LABEL_OPTION = re.compile(r"\blabel:\s*'([^']*)'")
_ENTRY = re.compile(r"['\"]?([\w.-]+)['\"]?\s*:\s*['\"]([^'\"]*)['\"]")
_LOOKED_AT_BUILDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was looked at and found.

    `missing`: builds will fail; `note`: some will, or go another way.
    """

    name: str
    state: Literal["ok", "note", "missing"]
    found: str
    advice: str | None = None


def examine(
    controller: Controller, job: str, branch: str | None, *, labels: Sequence[str], jenkinsfile: str
) -> tuple[Finding, ...]:
    """Look at everything; `labels` are those that the pipeline asks for, which the Jenkinsfile may
    call otherwise.
    """
    version = controller.version()
    nodes = _or_finding(controller.nodes, "agents")
    return (
        _version(version),
        _user(controller),
        *_plugins(controller),
        *(
            [nodes]
            if isinstance(nodes, Finding)
            else _agents(nodes, wanted_labels(labels, jenkinsfile))
        ),
        *_job(controller, job, branch),
    )


def wanted_labels(labels: Iterable[str], jenkinsfile: str) -> tuple[str, ...]:
    """What the labels of a pipeline are called in a Jenkinsfile, and the one for all other steps."""
    option = _LABELS_OPTION.search(jenkinsfile)
    names = dict(_ENTRY.findall(option[1])) if option else {}
    default = _LABEL_OPTION.search(jenkinsfile)
    wanted = [names.get(label, label) for label in labels]
    return tuple(dict.fromkeys(([default[1]] if default and default[1] else []) + wanted))


def carries(node: Mapping[str, Any], expression: str) -> bool | None:
    """Whether a node has all labels of `a && b`; None for other expressions, which only Jenkins can
    tell.
    """
    atoms = [atom.strip() for atom in expression.split("&&")]
    if not all(re.fullmatch(r"[\w.-]+", atom) for atom in atoms):
        return None
    has = {label["name"] for label in node.get("assignedLabels") or ()}
    return set(atoms) <= has


def _version(version: str) -> Finding:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers >= _OLDEST:
        return Finding(name="Jenkins", state="ok", found=version)
    advice = "the library is written for 2.479 and later"
    return Finding(name="Jenkins", state="note", found=version, advice=advice)


def _user(controller: Controller) -> Finding:
    access = controller.access
    try:
        name = controller.whoami()
    except NbciError as error:
        return Finding(name="user", state="note", found=error.message, advice=error.hint)
    if name is None:
        advice = "set NBCI_JENKINS_USER and NBCI_JENKINS_TOKEN"
        return Finding(name="user", state="note", found=f"nobody ({access.source})", advice=advice)
    parts = urlsplit(controller.url)
    if access.token and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        found = f"{name}, whose token goes over the network in clear text"
        return Finding(name="user", state="note", found=found, advice="use an https address")
    return Finding(name="user", state="ok", found=f"{name} ({access.source})")


def _plugins(controller: Controller) -> Iterator[Finding]:
    plugins = _or_finding(controller.plugins, "plugins")
    if isinstance(plugins, Finding):
        yield plugins
        return
    missing = [name for name in NEEDED_PLUGINS if name not in plugins]
    if missing:
        advice = "install them, as in jenkins/plugins.txt"
        yield Finding(
            name="plugins", state="missing", found=f"without {', '.join(missing)}", advice=advice
        )
    else:
        yield Finding(
            name="plugins",
            state="ok",
            found=", ".join(f"{name} {plugins[name]}" for name in NEEDED_PLUGINS),
        )
    for name, use in OPTIONAL_PLUGINS:
        if name not in plugins:
            yield Finding(
                name=f"plugin {name}",
                state="note",
                found="not there",
                advice=f"it would give {use}",
            )


def _agents(nodes: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> Iterator[Finding]:
    for node in nodes:
        yield _agent(node)
    yield from _able(nodes)
    for label in wanted:
        yield _label(label, nodes)


def _able(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Whether builds have a place to run at all."""
    able = [node for node in nodes if node.get("numExecutors")]
    if not able:
        advice = "connect one, unless agents are made here when builds ask for them"
        yield Finding(
            name="agents", state="note", found="there is none that builds can run on", advice=advice
        )
    elif all(node.get("offline") for node in able):
        found = "every one is offline: builds would wait until one is back"
        yield Finding(
            name="agents", state="missing", found=found, advice="bring one of them online"
        )


def _agent(node: Mapping[str, Any]) -> Finding:
    title = f"agent {node.get('displayName')}"
    labels = " ".join(label["name"] for label in node.get("assignedLabels") or ())
    executors = node.get("numExecutors") or 0
    if node.get("offline"):
        why = node.get("offlineCauseReason") or "no reason is given"
        return Finding(
            name=title, state="note", found=f"offline: {why}", advice=f"its labels: {labels}"
        )
    if "MasterComputer" in str(node.get("_class")) and executors:
        advice = "builds there can read what the controller keeps: give it no executors"
        found = f"the controller itself, {executors} executors, {labels}"
        return Finding(name=title, state="note", found=found, advice=advice)
    return Finding(name=title, state="ok", found=f"{executors} executors, {labels}")


def _label(label: str, nodes: Sequence[Mapping[str, Any]]) -> Finding:
    title = f"label {label}"
    carrying = [node for node in nodes if carries(node, label)]
    if carries({}, label) is None:
        return Finding(name=title, state="note", found="an expression, which only Jenkins can tell")
    if not carrying:
        advice = (
            "let an agent carry it, or say with labels: in the Jenkinsfile what it is called here"
        )
        return Finding(
            name=title,
            state="missing",
            found="no agent carries it: builds would wait for ever",
            advice=advice,
        )
    online = [str(node.get("displayName")) for node in carrying if not node.get("offline")]
    if not online:
        found = "all agents that carry it are offline: builds would wait until one is back"
        return Finding(name=title, state="missing", found=found, advice="bring one of them online")
    return Finding(name=title, state="ok", found=", ".join(online))


def _job(controller: Controller, name: str, branch: str | None) -> Iterator[Finding]:
    try:
        job, found = find_job(controller, name, None, branch)
    except NbciError as error:
        advice = "nbci jenkins sync makes it; a branch shows once it is pushed"
        title = f"job {name}"
        found_out = error.message.removeprefix(f"{title} ").removeprefix(f"{title}: ")
        yield Finding(name=title, state="note", found=found_out, advice=advice)
        return
    disabled = found.get("disabled")
    yield Finding(
        name=f"job {job}",
        state="note" if disabled else "ok",
        found="disabled" if disabled else "can be read",
    )
    config = _or_finding(lambda: controller.config(job), "job's configuration")
    if isinstance(config, Finding):
        yield config
    yield _csp(controller, job, found)


def _csp(controller: Controller, job: str, found: Mapping[str, Any]) -> Finding:
    """The header with which Jenkins serves reports: the pages are made for its default, which is
    strict.
    """
    title = "reports"
    path = _some_artifact(controller, job, found)
    if path is None:
        return Finding(name=title, state="ok", found="not known yet: no build has an artifact")
    header = controller.header(path, "Content-Security-Policy")
    if not header:
        advice = "set it: what a notebook prints could act for whoever opens the report"
        return Finding(
            name=title, state="note", found="served without Content-Security-Policy", advice=advice
        )
    allowed = {rule.split()[0]: rule.split()[1:] for rule in header.split(";") if rule.split()}
    lacking = [kind for kind in ("style-src", "img-src") if "'self'" not in allowed.get(kind, [])]
    if lacking:
        advice = f"allow 'self' in {' and '.join(lacking)}: pages show without style or pictures"
        return Finding(
            name=title, state="note", found=f"Content-Security-Policy: {header}", advice=advice
        )
    return Finding(name=title, state="ok", found="shown with style and pictures, scripts blocked")


def _some_artifact(controller: Controller, job: str, found: Mapping[str, Any]) -> str | None:
    for each in (found.get("builds") or ())[:_LOOKED_AT_BUILDS]:
        artifacts = controller.build(job, each["number"]).get("artifacts")
        if artifacts:
            return f"{job_path(job)}{each['number']}/artifact/{quote(artifacts[0]['relativePath'])}"
    return None


def _or_finding(ask: Any, about: str) -> Any:
    """The answer, or what keeps this user from it."""
    try:
        return ask()
    except NbciError as error:
        return Finding(
            name=about,
            state="note",
            found=f"cannot be looked at: {error.message}",
            advice=error.hint,
        )
