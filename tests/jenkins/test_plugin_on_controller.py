"""The compiled plugin on a real controller; left out unless NBCI_JENKINS_URL names one.

All jobs and credentials are in a folder that is made for the tests and removed after them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.support.plugin_jobs import (
    THESE_TESTS,
    element,
    freestyle,
    matrix,
    notebook_step,
    pipeline,
    secret_file,
    secret_text,
    secret_user,
    shell_step,
)
from tests.support.tools import NBCI_ON_AGENTS

if TYPE_CHECKING:
    from tests.support.controller import Build, Controller

pytestmark = pytest.mark.needs("jenkins")

_SCORE = f"""
cat > score.py <<'END'
# %% tags=["parameters"]
accuracy = 0.5
# %% tags=["step:train"]
weights = [accuracy]
{THESE_TESTS}
# %% tags=["step:judge"]
score = weights[0]
print("the score is", score)
# %% tags=["pipeline-metrics"]
print(score)
END
cat > score.yaml <<'END'
params: {{accuracy: {{default: 0.5, help: "share of <b>right</b> answers"}}}}
steps: {{score: {{notebook: score.py, params: {{accuracy: "${{accuracy}}"}}}}}}
metrics: {{score: {{direction: up}}}}
gates: [{{metric: score, at_least: 0.9}}]
END
"""
_SCORE_STEPS = (
    shell_step(_SCORE),
    notebook_step(target="score.yaml", parameters="accuracy=$ACC"),
)


class MakeJob(Protocol):
    """Make a job in the folder of the tests; its path."""

    def __call__(self, name: str, xml: str) -> str: ...


@pytest.fixture(scope="module")
def make(controller: Controller, folder: str) -> MakeJob:
    return lambda name, xml: controller.create(f"{folder}/{name}", xml)


@pytest.fixture(scope="module")
def score_builds(controller: Controller, make: MakeJob) -> tuple[Build, Build]:
    """One that passes its gate, and a later one that does not."""
    job = make("score", freestyle(*_SCORE_STEPS, parameters={"ACC": "0.95"}))
    return controller.build(job, {}), controller.build(job, {"ACC": "0.7"})


def _pages(build: Build) -> list[str]:
    """Where the build's pages are, below its own."""
    names = ["notebook/", "notebook-2/", "notebook-3/"]
    answers = [build.controller.request("GET", build.path + name).status_code for name in names]
    assert set(answers) <= {200, 404}
    return [name for name, code in zip(names, answers, strict=True) if code == 200]


def _artifacts(build: Build) -> set[str]:
    listed = build.document("artifacts[relativePath]")["artifacts"]
    return {artifact["relativePath"] for artifact in listed}


def test_typed_cells_run(controller: Controller, make: MakeJob) -> None:
    job = make("typed", freestyle(notebook_step("total = 40 + 2", "print('is', total)")))
    build = controller.build(job)
    assert build.result == "SUCCESS", build.log
    assert "is 42" in build.log
    assert "notebook/report/index.html" in _artifacts(build)
    assert any(path.endswith(".ipynb") for path in _artifacts(build))
    assert "passed" in build.text("notebook/")


def test_a_gate_decides(score_builds: tuple[Build, Build]) -> None:
    passed, refused = score_builds
    assert passed.result == "SUCCESS", passed.log
    assert refused.result == "UNSTABLE", refused.log
    assert "0.95" in passed.text("notebook/")
    assert "refused" in refused.text("notebook/")
    assert "score" in passed.document("description")["description"]


def test_a_failing_cell(controller: Controller, make: MakeJob) -> None:
    job = make("failing", freestyle(notebook_step("print('before')", "1 / 0")))
    build = controller.build(job)
    assert build.result == "FAILURE"
    assert "ZeroDivisionError" in build.log
    assert "ZeroDivisionError" in build.text("notebook/")
    assert "notebook/report/index.html" in _artifacts(build)
    tests = build.controller.document(f"{build.path}testReport/api/json?tree=failCount,passCount")
    assert tests["failCount"] == 1


def test_two_steps_have_two_pages(controller: Controller, make: MakeJob) -> None:
    steps = [notebook_step("print('a')", name="first"), notebook_step("print('b')", name="other")]
    build = controller.build(make("two-steps", freestyle(*steps)))
    assert build.result == "SUCCESS", build.log
    assert _pages(build) == ["notebook/", "notebook-2/"]
    assert "first" in build.text("notebook/")
    assert "other" in build.text("notebook-2/")
    assert {"notebook/report/index.html", "notebook-2/report/index.html"} <= _artifacts(build)


def test_secrets_are_masked(controller: Controller, make: MakeJob, folder: str) -> None:
    add = f"job/{folder}/credentials/store/folder/domain/_/createCredentials"
    for xml in (
        secret_text("text", "t0psecret-text"),
        secret_user("user", "someone", "t0psecret-password"),
        secret_file("file", b"t0psecret-content"),
    ):
        controller.post(add, data=xml, headers={"Content-Type": "application/xml"})
    cell = (
        "import os, pathlib\n"
        "print('text', os.environ['TOKEN'])\n"
        "print('user', os.environ['LOGIN_USR'], os.environ['LOGIN_PSW'], os.environ['LOGIN'])\n"
        "print('file', len(pathlib.Path(os.environ['KEY']).read_bytes()))"
    )
    bound = {"TOKEN": "text", "LOGIN": "user", "KEY": "file"}
    tags = "step:show secret:TOKEN secret:LOGIN secret:LOGIN_USR secret:LOGIN_PSW secret:KEY"
    look = 'echo "left: $(find "$WORKSPACE@tmp" "$WORKSPACE" -name "key*" | wc -l)"'
    steps = [notebook_step((cell, tags), bound=bound), shell_step(look)]
    build = controller.build(make("secrets", freestyle(*steps)))
    assert build.result == "SUCCESS", build.log
    assert "t0psecret" not in build.log
    assert "text ***" in build.log, build.log
    assert "file 17" in build.log
    assert "left: 0" in build.log
    for page in ("notebook/", "artifact/notebook/report/index.html", "api/xml"):
        assert "t0psecret" not in build.text(page)


def test_parameters_of_the_pipeline(
    controller: Controller, make: MakeJob, score_builds: tuple[Build, Build]
) -> None:
    asked = element(
        "hudson.model.ParametersDefinitionProperty",
        element(
            "parameterDefinitions",
            element(
                "io.nbci.jenkins.parameters.NotebookParametersDefinition",
                element("name", "notebook") + element("target", "score.yaml"),
            ),
        ),
    )
    steps = [shell_step(_SCORE), notebook_step(target="score.yaml")]
    job = make("asked", freestyle(*steps, properties=asked))
    first = controller.build(job, {"notebook": "accuracy=0.93"})
    assert first.result == "SUCCESS", first.log
    assert "0.93" in first.text("notebook/")
    form = controller.request("GET", f"{job}build")
    assert "accuracy" in form.text
    assert "<b>right</b>" not in form.text


@pytest.mark.parametrize("kind", ["scripted", "declarative"])
def test_a_step_of_a_pipeline(controller: Controller, make: MakeJob, kind: str) -> None:
    step = (
        f"nbciNotebook(command: '{NBCI_ON_AGENTS}', name: '{kind}', parameters: 'x=2',"
        f' cells: [[code: """{THESE_TESTS}; "{kind}" """],'
        " [code: 'x = 1', tags: 'parameters'], [code: 'print(\"x is\", x)']])"
    )
    script = f"node {{ {step} }}"
    if kind == "declarative":
        script = f"pipeline {{ agent any; stages {{ stage('a') {{ steps {{ {step} }} }} }} }}"
    build = controller.build(make(kind, pipeline(script)))
    assert build.result == "SUCCESS", build.log
    assert "x is 2" in build.log
    assert _pages(build) == ["notebook/"]
    assert "passed" in build.text("notebook/")


def test_side_by_side_in_one_build(controller: Controller, make: MakeJob) -> None:
    names = {"left-side", "right-side"}
    step = f"nbciNotebook(command: '{NBCI_ON_AGENTS}', name: 'NAME', cells: [[code: '\"NAME\"']])"
    branches = [f"'{name}': {{ node {{ {step.replace('NAME', name)} }} }}" for name in names]
    build = controller.build(make("parallel", pipeline(f"parallel {', '.join(branches)}")))
    assert build.result == "SUCCESS", build.log
    assert _pages(build) == ["notebook/", "notebook-2/"]
    # which of them is the first page is a matter of time; each leads to its own report
    shown = set()
    for page in map(build.text, _pages(build)):
        report = re.search(r"artifact/(notebook(-2)?/report)/", page)
        assert report is not None
        (name,) = (name for name in names if name in build.text(f"artifact/{report[1]}/index.html"))
        assert f"{name}" in page
        shown.add(name)
    assert shown == names


def test_a_failed_step_can_be_caught(controller: Controller, make: MakeJob) -> None:
    step = f"nbciNotebook(command: '{NBCI_ON_AGENTS}', cells: [[code: '1/0']])"
    script = f"node {{ try {{ {step} }} catch (e) {{ echo 'caught ' + e.message }} }}"
    build = controller.build(make("caught", pipeline(script)))
    assert build.result == "SUCCESS", build.log
    assert "caught" in build.log
    assert "ZeroDivisionError" in build.log


def test_a_matrix_job(controller: Controller, make: MakeJob) -> None:
    step = notebook_step(("x = 0", "parameters"), "print('x is', x)", parameters="x=$SIDE")
    build = controller.build(make("matrix", matrix(step, axis="SIDE", values=["3", "4"])))
    assert build.result == "SUCCESS", build.log
    for side in ("3", "4"):
        log = controller.text(f"{build.job}SIDE={side}/{build.number}/consoleText")
        assert f"x is {side}" in log, log
        assert "passed" in controller.text(f"{build.job}SIDE={side}/{build.number}/notebook/")


@pytest.mark.parametrize("command", ["/nowhere/bin/nbci", "no-such-nbci", "/etc/passwd"])
def test_an_agent_without_nbci(controller: Controller, make: MakeJob, command: str) -> None:
    name = f"without{command.replace('/', '-')}"
    build = controller.build(make(name, freestyle(notebook_step("1", command=command))))
    assert build.result == "FAILURE"
    assert "infrastructure: nbci cannot be started on this agent" in build.log
    assert command in build.log
    assert "\tat " not in build.log


def test_nothing_to_run(controller: Controller, make: MakeJob) -> None:
    build = controller.build(make("nothing", freestyle(notebook_step())))
    assert build.result == "FAILURE"
    assert "the step has nothing to run" in build.log
