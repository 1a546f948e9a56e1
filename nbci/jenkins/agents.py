"""What agents have: asked by a build that runs on each of them, in a folder made for it and removed
after it.
"""

from __future__ import annotations

import json
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from nbci.jenkins.doctor import Finding
from nbci.jenkins.failures import MissingError
from nbci.jenkins.groovy import quoted
from nbci.jenkins.watch import Bounds, Ended, Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.jenkins.controller import Controller

_AGENT_SECONDS = 300
_PLAIN = re.compile(r"[\w.-]+")
_FOLDER = """<?xml version='1.1' encoding='UTF-8'?>
<com.cloudbees.hudson.plugins.folder.Folder>
  <description>of nbci jenkins doctor</description>
</com.cloudbees.hudson.plugins.folder.Folder>
"""
_SCRIPT = """\
def asked = [%(names)s]
def branches = [:]
for (int i = 0; i < asked.size(); i++) {
  def at = i
  branches["${at} ${asked[at]}".toString()] = {
    catchError(buildResult: 'SUCCESS', stageResult: 'FAILURE') {
      timeout(time: %(seconds)d, unit: 'SECONDS') {
        node(asked[at]) {
          dir("nbci-doctor-${at}") {
            deleteDir()
            withEnv(["NBCI_AT=${at}".toString(), 'NBCI_COMMAND=' + %(command)s]) {
              sh '''
                "$NBCI_COMMAND" doctor --json > "$NBCI_AT.json" 2> "$NBCI_AT.txt" || true
                python3 --version > "$NBCI_AT.txt" 2>&1 || true
                nvidia-smi --query-gpu=name --format=csv,noheader >> "$NBCI_AT.txt" 2> /dev/null ||
                  echo 'no GPU that nvidia-smi shows' >> "$NBCI_AT.txt"
              '''
            }
            archiveArtifacts artifacts: '*', allowEmptyArchive: true
            deleteDir()
          }
        }
      }
    }
  }
}
parallel branches
"""
_JOB = """<?xml version='1.1' encoding='UTF-8'?>
<flow-definition plugin="workflow-job">
  <description>of nbci jenkins doctor</description>
  <definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition" plugin="workflow-cps">
    <script>{}</script>
    <sandbox>true</sandbox>
  </definition>
</flow-definition>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What an agent said: its `nbci doctor`, None where it has none, and what its own Python and
    driver say.
    """

    checks: Sequence[Mapping[str, Any]] | None
    said: str


def askable(nodes: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of the nodes that builds can run on now."""
    return tuple(
        "built-in" if "MasterComputer" in str(node.get("_class")) else str(node.get("displayName"))
        for node in nodes
        if not node.get("offline") and node.get("numExecutors")
    )


def ask_agents(
    controller: Controller, beside: str, names: Sequence[str], command: str
) -> dict[str, Agent]:
    """What these nodes say, those that answered; `beside` is a job in whose folder that of the
    build is made.
    """
    parent = beside.rpartition("/")[0]
    found = controller.job_or_none(parent) if parent else None
    folder = (
        f"{parent}/" if found is not None and "jobs" in found else ""
    ) + f"nbci-doctor-{secrets.token_hex(4)}"
    job = f"{folder}/agents"
    controller.create(folder, _FOLDER)
    try:
        controller.create(job, _JOB.format(escape(_script(names, command))))
        ended = _built(controller, job)
        return _answers(controller, job, ended.number, names) if ended.number is not None else {}
    finally:
        controller.delete(folder)


def agent_findings(
    asked: Sequence[str], answers: Mapping[str, Agent], gpu_agents: Iterable[str]
) -> Iterator[Finding]:
    """A finding for each agent, and one for each thing that it lacks."""
    wanted = set(gpu_agents)
    for name in asked:
        title = f"{name}: nbci"
        agent = answers.get(name)
        if agent is None:
            said = f"the agent did not answer within {_AGENT_SECONDS // 60} minutes"
            yield Finding(name=title, state="note", found=said, advice="are its executors busy?")
            continue
        if agent.checks is None:
            advice = "install it there, or let the body of nbciPipeline do it; --command says where it is"
            yield Finding(name=title, state="note", found=f"not there; {agent.said}", advice=advice)
            continue
        checks = {str(check["name"]): check for check in agent.checks}
        yield Finding(name=title, state="ok", found=_summary(checks))
        for check in agent.checks:
            if check["state"] != "ok":
                yield Finding(
                    name=f"{name}: {check['name']}",
                    state="note",
                    found=check["found"],
                    advice=check.get("advice"),
                )
        if name in wanted and str(checks.get("GPU", {}).get("found", "")).startswith("none"):
            said = "none, and the agent carries a label gpu"
            yield Finding(
                name=f"{name}: GPU",
                state="note",
                found=said,
                advice="is nvidia-smi on the agent's PATH?",
            )


def _summary(checks: Mapping[str, Mapping[str, Any]]) -> str:
    kernels = [name.removeprefix("kernel ") for name, check in checks.items()
               if name.startswith("kernel ") and check["state"] == "ok"]  # fmt: skip
    parts = [str(checks[name]["found"]) for name in ("nbci", "Python") if name in checks]
    parts.append(f"kernels {', '.join(kernels) or 'none'}")
    if "GPU" in checks:
        parts.append(f"GPU {str(checks['GPU']['found']).partition(';')[0]}")
    return "; ".join(parts)


def _script(names: Sequence[str], command: str) -> str:
    labels = ", ".join(quoted(name if _PLAIN.fullmatch(name) else f'"{name}"') for name in names)
    return _SCRIPT % {"names": labels, "seconds": _AGENT_SECONDS, "command": quoted(command)}


def _built(controller: Controller, job: str) -> Ended:
    """The end of a build of the job; a controller that restarts is waited for."""
    item = controller.trigger(job, None)
    for event in Watch(controller, job, Bounds(label_seconds=_AGENT_SECONDS)).follow(item):
        if isinstance(event, Ended):
            return event
    raise AssertionError("a watch ends with an end")


def _answers(
    controller: Controller, job: str, number: int, names: Sequence[str]
) -> dict[str, Agent]:
    with tempfile.TemporaryDirectory(prefix="nbci-") as place:

        def text(artifact: str) -> str | None:
            try:
                controller.fetch(job, number, artifact, Path(place) / artifact)
            except MissingError:
                return None
            return (Path(place) / artifact).read_text(encoding="utf-8", errors="replace")

        found = {}
        for at, name in enumerate(names):
            said = text(f"{at}.txt")
            if said is not None:
                found[name] = Agent(
                    checks=_checks(text(f"{at}.json")), said="; ".join(said.split("\n")).strip("; ")
                )
        return found


def _checks(text: str | None) -> Sequence[Mapping[str, Any]] | None:
    """What `nbci doctor --json` printed; None for anything else."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    keys = {"name", "state", "found"}
    understood = isinstance(found, list) and all(
        isinstance(each, dict) and keys <= set(each) for each in found
    )
    return found if understood else None
