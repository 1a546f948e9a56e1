"""Look at a controller for what nbci's pipelines need and can use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from nbci.errors import NbciError
from nbci.health_check import Check
from nbci.jenkins.bringup import NEEDED_PLUGINS, OPTIONAL_PLUGINS
from nbci.jenkins.controller import job_path
from nbci.jenkins.place import find_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.jenkins.controller import Controller

# what docs/jenkins.md asks for
_OLDEST = (2, 479)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_LABELS_OPTION = re.compile(r"\blabels:\s*\[(.*?)\]", re.DOTALL)
_LABEL_OPTION = re.compile(r"\blabel:\s*'([^']*)'")
# a Jenkinsfile is a program: only literals in it are understood, of which most consist
_ENTRY = re.compile(r"['\"]?([\w.-]+)['\"]?\s*:\s*['\"]([^'\"]*)['\"]")
# each is a request, and the newest may have ended before they had artifacts
_BUILDS_WITH_ARTIFACTS = 5


def examine(
    controller: Controller, job: str, branch: str | None, *, labels: Sequence[str], jenkinsfile: str
) -> tuple[Check, ...]:
    """Check everything; `labels` are the pipeline's, which the Jenkinsfile may call otherwise."""
    # without a version it is no Jenkins, or cannot be reached: that ends the checks as an error
    findings = [_check_version(controller.version()), _check_user(controller)]
    findings += _check_plugins(controller)

    nodes = _or_finding(controller.nodes, "agents")
    if isinstance(nodes, Check):
        findings.append(nodes)
    else:
        findings += _check_agents(nodes, wanted_labels(labels, jenkinsfile))

    findings += _check_job(controller, job, branch)
    return tuple(findings)


def wanted_labels(labels: Iterable[str], jenkinsfile: str) -> tuple[str, ...]:
    """The labels that builds wait for: that of all other steps first, then the pipeline's."""
    wanted = []
    default = _LABEL_OPTION.search(jenkinsfile)
    if default is not None and default[1]:
        wanted.append(default[1])

    # the option `labels:` says what a label of the pipeline is called on this controller
    names = {}
    option = _LABELS_OPTION.search(jenkinsfile)
    if option is not None:
        names = dict(_ENTRY.findall(option[1]))
    wanted += [names.get(label, label) for label in labels]
    return tuple(dict.fromkeys(wanted))


def has_labels(node: Mapping[str, Any], expression: str) -> bool | None:
    """Whether a node has all labels of `a && b`; None for expressions with other operators."""
    atoms = [atom.strip() for atom in expression.split("&&")]
    if not all(re.fullmatch(r"[\w.-]+", atom) for atom in atoms):
        return None
    return set(atoms) <= set(_labels_of(node))


def _labels_of(node: Mapping[str, Any]) -> list[str]:
    return [label["name"] for label in node.get("assignedLabels") or ()]


def _check_version(version: str) -> Check:
    # weekly releases have two numbers, long-term ones three
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers >= _OLDEST:
        return Check(name="Jenkins", state="ok", found=version)
    advice = "the library is written for 2.479 and later"
    return Check(name="Jenkins", state="note", found=version, advice=advice)


def _check_user(controller: Controller) -> Check:
    access = controller.access
    try:
        name = controller.whoami()
    except NbciError as error:
        return Check(name="user", state="note", found=error.message, advice=error.hint)
    if name is None:
        advice = "set NBCI_JENKINS_USER and NBCI_JENKINS_TOKEN"
        return Check(name="user", state="note", found=f"nobody ({access.source})", advice=advice)

    parts = urlsplit(controller.url)
    if access.token and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        found = f"{name}, whose token goes over the network in clear text"
        return Check(name="user", state="note", found=found, advice="use an https address")
    return Check(name="user", state="ok", found=f"{name} ({access.source})")


def _check_plugins(controller: Controller) -> Iterator[Check]:
    plugins = _or_finding(controller.plugins, "plugins")
    if isinstance(plugins, Check):
        yield plugins
        return

    missing = [name for name in NEEDED_PLUGINS if name not in plugins]
    if missing:
        advice = "install them, as in jenkins/plugins.txt"
        yield Check(
            name="plugins", state="missing", found=f"without {', '.join(missing)}", advice=advice
        )
    else:
        yield Check(
            name="plugins",
            state="ok",
            found=", ".join(f"{name} {plugins[name]}" for name in NEEDED_PLUGINS),
        )

    for name, use in OPTIONAL_PLUGINS:
        if name not in plugins:
            yield Check(
                name=f"plugin {name}",
                state="note",
                found="not there",
                advice=f"it would give {use}",
            )


def _check_agents(nodes: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> Iterator[Check]:
    for node in nodes:
        yield _check_agent(node)
    yield from _check_capacity(nodes)
    for label in wanted:
        yield _check_label(label, nodes)


def _check_capacity(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """A finding where builds have no place to run at all."""
    # a controller that follows the advice has no executors, and is no place for builds
    able = [node for node in nodes if node.get("numExecutors")]
    if not able:
        # a note only: clouds make agents when a build asks for one
        advice = "connect one, unless agents are made here when builds ask for them"
        yield Check(
            name="agents", state="note", found="there is none that builds can run on", advice=advice
        )
    elif all(node.get("offline") for node in able):
        found = "every one is offline: builds would wait until one is back"
        yield Check(name="agents", state="missing", found=found, advice="bring one of them online")


def _check_agent(node: Mapping[str, Any]) -> Check:
    title = f"agent {node.get('displayName')}"
    labels = " ".join(_labels_of(node))
    executors = node.get("numExecutors") or 0
    if node.get("offline"):
        why = node.get("offlineCauseReason") or "no reason is given"
        return Check(
            name=title, state="note", found=f"offline: {why}", advice=f"its labels: {labels}"
        )
    if "MasterComputer" in str(node.get("_class")) and executors:
        advice = "builds there can read what the controller keeps: give it no executors"
        found = f"the controller itself, {executors} executors, {labels}"
        return Check(name=title, state="note", found=found, advice=advice)
    return Check(name=title, state="ok", found=f"{executors} executors, {labels}")


def _check_label(label: str, nodes: Sequence[Mapping[str, Any]]) -> Check:
    title = f"label {label}"
    if has_labels({}, label) is None:
        return Check(name=title, state="note", found="an expression, which only Jenkins can tell")

    labelled = [node for node in nodes if has_labels(node, label)]
    if not labelled:
        advice = (
            "let an agent carry it, or say with labels: in the Jenkinsfile what it is called here"
        )
        return Check(
            name=title,
            state="missing",
            found="no agent carries it: builds would wait for ever",
            advice=advice,
        )

    online = [str(node.get("displayName")) for node in labelled if not node.get("offline")]
    if not online:
        found = "all agents that carry it are offline: builds would wait until one is back"
        return Check(name=title, state="missing", found=found, advice="bring one of them online")
    return Check(name=title, state="ok", found=", ".join(online))


def _check_job(controller: Controller, name: str, branch: str | None) -> Iterator[Check]:
    try:
        job, found = find_job(controller, name, None, branch)
    except NbciError as error:
        advice = "nbci jenkins sync makes it; a branch shows once it is pushed"
        title = f"job {name}"
        # the message begins with the job, as the line of the finding does
        reason = error.message.removeprefix(f"{title} ").removeprefix(f"{title}: ")
        yield Check(name=title, state="note", found=reason, advice=advice)
        return

    if found.get("disabled"):
        yield Check(name=f"job {job}", state="note", found="disabled")
    else:
        yield Check(name=f"job {job}", state="ok", found="can be read")

    # `nbci jenkins sync` needs it, which is a permission apart (Job/ExtendedRead)
    config = _or_finding(lambda: controller.config(job), "job's configuration")
    if isinstance(config, Check):
        yield config
    yield _check_content_policy(controller, job, found)


def _check_content_policy(controller: Controller, job: str, found: Mapping[str, Any]) -> Check:
    """Check the Content-Security-Policy with which Jenkins serves reports.

    The pages are made for Jenkins' default, which allows only pictures and styles in files.
    """
    title = "reports"
    path = _find_artifact(controller, job, found)
    if path is None:
        return Check(name=title, state="ok", found="not known yet: no build has an artifact")
    header = controller.header(path, "Content-Security-Policy")
    if not header:
        advice = "set it: what a notebook prints could act for whoever opens the report"
        return Check(
            name=title, state="note", found="served without Content-Security-Policy", advice=advice
        )

    # "default-src 'none'; img-src 'self'" → the sources by directive
    allowed = {}
    for rule in header.split(";"):
        directive, _, sources = rule.strip().partition(" ")
        allowed[directive] = sources.split()
    lacking = [kind for kind in ("style-src", "img-src") if "'self'" not in allowed.get(kind, ())]
    if lacking:
        advice = f"allow 'self' in {' and '.join(lacking)}: pages show without style or pictures"
        return Check(
            name=title, state="note", found=f"Content-Security-Policy: {header}", advice=advice
        )
    return Check(name=title, state="ok", found="shown with style and pictures, scripts blocked")


def _find_artifact(controller: Controller, job: str, found: Mapping[str, Any]) -> str | None:
    """The path of an artifact of one of the newest builds, below the controller's address."""
    for each in (found.get("builds") or ())[:_BUILDS_WITH_ARTIFACTS]:
        artifacts = controller.build(job, each["number"]).get("artifacts")
        if artifacts:
            return f"{job_path(job)}{each['number']}/artifact/{quote(artifacts[0]['relativePath'])}"
    return None


def _or_finding(ask: Any, about: str) -> Any:
    """Ask, and return a finding in the place of an error: a user may lack one permission only."""
    try:
        return ask()
    except NbciError as error:
        return Check(
            name=about,
            state="note",
            found=f"cannot be looked at: {error.message}",
            advice=error.hint,
        )
