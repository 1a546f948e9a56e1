"""What agents have, as found by a build that runs `nbci doctor` on each of them.

The build is of a job in a folder made for it, which is removed afterwards.
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

from nbci.health_check import Check
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
# Values are quoted into the text as Groovy strings. The loop counts, because a closure shares the
# variable of the loop it stands in, and because a range cannot be saved by Jenkins (workflow-cps).
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
    """An agent's answer: the checks of its `nbci doctor`, None where nbci is not there.

    `system` is what its own Python and driver print.
    """

    checks: Sequence[Mapping[str, Any]] | None
    system: str


def available_nodes(nodes: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of the nodes that builds can run on now, each a label of that node alone."""
    names = []
    for node in nodes:
        if node.get("offline") or not node.get("numExecutors"):
            continue
        # the label of the controller's own node is not what the pages call it
        if "MasterComputer" in str(node.get("_class")):
            names.append("built-in")
        else:
            names.append(str(node.get("displayName")))
    return tuple(names)


def ask_agents(
    controller: Controller, beside: str, names: Sequence[str], command: str
) -> dict[str, Agent]:
    """Run the build on these nodes and return the answers of those that gave one.

    Its folder is made in the one that the job `beside` lies in.
    """
    # random, so that two people can ask at once; in the project's folder, where its users may
    # create jobs, which they often may not at the top
    folder = _parent_folder(controller, beside) + f"nbci-doctor-{secrets.token_hex(4)}"
    job = f"{folder}/agents"
    controller.create(folder, _FOLDER)
    try:
        controller.create(job, _JOB.format(escape(_script(names, command))))
        ended = _run_build(controller, job)
        if ended.number is None:
            return {}
        return _read_answers(controller, job, ended.number, names)
    finally:
        controller.delete(folder)


def agent_findings(
    asked: Sequence[str], answers: Mapping[str, Agent], gpu_agents: Iterable[str]
) -> Iterator[Check]:
    """A finding for each agent, and one for each thing that it lacks."""
    with_gpu_label = set(gpu_agents)
    for name in asked:
        title = f"{name}: nbci"
        agent = answers.get(name)
        if agent is None:
            silence = f"the agent did not answer within {_AGENT_SECONDS // 60} minutes"
            yield Check(name=title, state="note", found=silence, advice="are its executors busy?")
        elif agent.checks is None:
            advice = (
                "install it there, or let the body of nbciPipeline do it;"
                " --command says where it is"
            )
            absence = f"not there; {agent.system}"
            yield Check(name=title, state="note", found=absence, advice=advice)
        else:
            checks = {str(check["name"]): check for check in agent.checks}
            yield Check(name=title, state="ok", found=_summary(checks))
            yield from _problems(name, agent.checks)
            gpu = str(checks.get("GPU", {}).get("found", ""))
            # to nbci doctor itself, a machine without a GPU is fine
            if name in with_gpu_label and gpu.startswith("none"):
                yield Check(
                    name=f"{name}: GPU",
                    state="note",
                    found="none, and the agent carries a label gpu",
                    advice="is nvidia-smi on the agent's PATH?",
                )


def _parent_folder(controller: Controller, job: str) -> str:
    """The folder of a job with a `/` behind it; empty where that is no folder, or the top."""
    parent = job.rpartition("/")[0]
    if not parent:
        return ""
    found = controller.job_or_none(parent)
    if found is None or "jobs" not in found:
        return ""
    return f"{parent}/"


def _problems(agent: str, checks: Iterable[Mapping[str, Any]]) -> Iterator[Check]:
    for check in checks:
        if check["state"] != "ok":
            yield Check(
                name=f"{agent}: {check['name']}",
                state="note",
                found=check["found"],
                advice=check.get("advice"),
            )


def _summary(checks: Mapping[str, Mapping[str, Any]]) -> str:
    kernels = []
    for name, check in checks.items():
        if name.startswith("kernel ") and check["state"] == "ok":
            kernels.append(name.removeprefix("kernel "))

    parts = [str(checks[name]["found"]) for name in ("nbci", "Python") if name in checks]
    parts.append(f"kernels {', '.join(kernels) or 'none'}")
    if "GPU" in checks:
        parts.append(f"GPU {str(checks['GPU']['found']).partition(';')[0]}")
    return "; ".join(parts)


def _script(names: Sequence[str], command: str) -> str:
    labels = ", ".join(map(_quote_label, names))
    return _SCRIPT % {"names": labels, "seconds": _AGENT_SECONDS, "command": quoted(command)}


def _quote_label(name: str) -> str:
    """A node's name as a Groovy string that Jenkins reads as a label, not as an expression."""
    if _PLAIN.fullmatch(name):
        return quoted(name)
    return quoted(f'"{name}"')


def _run_build(controller: Controller, job: str) -> Ended:
    """Trigger a build of the job and wait for its end, also over a restart of the controller."""
    item = controller.trigger(job, None)
    for event in Watch(controller, job, Bounds(label_seconds=_AGENT_SECONDS)).follow(item):
        if isinstance(event, Ended):
            return event
    raise AssertionError("a watch ends with an end")


def _read_answers(
    controller: Controller, job: str, number: int, names: Sequence[str]
) -> dict[str, Agent]:
    with tempfile.TemporaryDirectory(prefix="nbci-") as place:

        def read_artifact(artifact: str) -> str | None:
            try:
                controller.fetch(job, number, artifact, Path(place) / artifact)
            except MissingError:
                return None
            return (Path(place) / artifact).read_text(encoding="utf-8", errors="replace")

        answers = {}
        for index, name in enumerate(names):
            lines = read_artifact(f"{index}.txt")
            # every node that ran the script has left this file: one without it was never reached
            if lines is None:
                continue
            answers[name] = Agent(
                checks=_read_checks(read_artifact(f"{index}.json")),
                system="; ".join(lines.split("\n")).strip("; "),
            )
        return answers


def _read_checks(text: str | None) -> Sequence[Mapping[str, Any]] | None:
    """Read what `nbci doctor --json` printed; None for anything else, such as a shell's error."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    if not isinstance(found, list):
        return None

    # an agent may have an older nbci, or another program of that name
    keys = {"name", "state", "found"}
    for check in found:
        if not isinstance(check, dict) or not keys <= set(check):
            return None
    return found
