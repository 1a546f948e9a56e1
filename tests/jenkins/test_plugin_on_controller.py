"""The compiled plugin on a real controller; left out unless NBCI_JENKINS_URL names one.

All jobs and credentials are in a folder that is made for the tests and removed after them.
"""

from __future__ import annotations

import base64
import functools
import gzip
import json
import re
import secrets
import subprocess
import textwrap
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from tests.support.browser import SCREENSHOTS
from tests.support.console import ROOT
from tests.support.controller import remove_plugin, upload_plugin, wait_for
from tests.support.plugin_jobs import (
    FOLDER,
    STEP,
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
from tests.support.plugin_scripts import KEEP_SETTINGS, PUT_SETTINGS_BACK, RECORDS, SAVE_ALL
from tests.support.tools import NBCI_ON_AGENTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.browser import Reader, Reading
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


def test_an_agent_without_python(controller: Controller, make: MakeJob) -> None:
    """What pip leaves where its Python was taken away."""
    script = "printf '#!/nowhere/bin/python\\n' > nbci && chmod +x nbci"
    steps = [shell_step(script), notebook_step("1", command="$WORKSPACE/nbci")]
    build = controller.build(make("without-python", freestyle(*steps)))
    assert build.result == "FAILURE"
    assert "infrastructure: " in build.log
    assert "\tat " not in build.log


def test_values_of_a_folder(controller: Controller, make: MakeJob) -> None:
    values = element(
        "io.nbci.jenkins.settings.NbciFolderProperty", element("command", NBCI_ON_AGENTS)
    )
    make("values", element(FOLDER, element("properties", values)))
    build = controller.build(make("values/inner", freestyle(notebook_step("1", command=""))))
    assert build.result == "SUCCESS", build.log


def test_nothing_to_run(controller: Controller, make: MakeJob) -> None:
    build = controller.build(make("nothing", freestyle(notebook_step())))
    assert build.result == "FAILURE"
    assert "the step has nothing to run" in build.log


def test_an_abort_keeps_what_was_done(controller: Controller, make: MakeJob) -> None:
    name = f"aborted-{secrets.token_hex(4)}"
    cells = [
        ("print('done before')", "step:before"),
        ("import time; print('it sleeps'); time.sleep(600)", "step:sleep"),
    ]
    build = controller.start(make("aborted", freestyle(notebook_step(*cells, name=name))))
    build.wait_for_line("] it sleeps")
    controller.post(f"{build.path}stop")
    build.wait(60)
    assert build.result == "ABORTED", build.log
    assert "notebook/report/index.html" in _artifacts(build)
    assert "interrupted" in _words(build.text("notebook/"))
    assert _is_gone(controller, make, name)


def _words(page: str) -> str:
    """What a page says below its head and its menus, without the marks of HTML."""
    body = page.partition('id="main-panel"')[2].partition("<footer")[0]
    return " ".join(re.sub("<[^>]*>", " ", body).split())


def _is_gone(controller: Controller, make: MakeJob, name: str) -> bool:
    """Whether no agent has a process that runs the typed notebook of this name."""
    count = f"echo \"count: $(pgrep -fc '{name}[.]ipynb')\""
    agents = "jenkins.model.Jenkins.get().computers.findAll { it.online }"
    labels = controller.groovy(f"println {agents}*.node*.selfLabel*.name.join(' ')").split()
    assert labels
    for label in labels:
        build = controller.build(make(f"{name}-{label}", freestyle(shell_step(count), label=label)))
        if "\ncount: 0\n" not in build.log:
            return False
    return True


def test_two_builds_at_once(controller: Controller, make: MakeJob) -> None:
    cell = "import os, time; time.sleep(4); print('build', os.environ['BUILD_NUMBER'])"
    job = make("twice", freestyle(notebook_step(cell), parameters={"N": ""}))
    builds = [controller.start(job, {"N": str(number)}) for number in (1, 2)]
    for build in builds:
        build.wait()
        assert build.result == "SUCCESS", build.log
        assert f"build {build.number}" in build.log
        assert "notebook/report/index.html" in _artifacts(build)


def test_an_agent_that_goes_away(controller: Controller, make: MakeJob) -> None:
    agents = "jenkins.model.Jenkins.get().computers.findAll { it.online && it.name }"
    names = controller.groovy(f"println {agents}*.name.join(' ')").split()
    if not names:
        pytest.skip("the controller has no agent online")
    cell = "import time; print('began'); time.sleep(20)"
    build = controller.start(make("lost", freestyle(notebook_step(cell), label=names[0])))
    build.wait_for_line("began")
    controller.post(f"computer/{names[0]}/doDisconnect", data={"offlineMessage": "a test"})
    try:
        build.wait()
    finally:
        wait_for("the agent", lambda: _is_online(controller, names[0]))
    assert build.result in {"FAILURE", "ABORTED"}
    assert controller.request("GET", build.path).status_code == 200


def _is_online(controller: Controller, name: str) -> bool:
    return not controller.document(f"computer/{name}/api/json?tree=offline")["offline"]


_HOSTILE = "<script>document.title='taken'</script><img src=x onerror=alert(1)>${1+1}\"'&"


def _hostile(value: object) -> object:
    """A page.json in which each text that is no word of the format is hostile."""
    if isinstance(value, dict):
        return {
            key: item if key in {"kind", "direction"} else _hostile(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_hostile(item) for item in value]
    return _HOSTILE if isinstance(value, str) else value


def _sample_page() -> dict[str, object]:
    path = ROOT / "jenkins-plugin-shim/plugin/hpi/src/test/resources/io/nbci/jenkins/page/full.json"
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _hand_over(text: str) -> str:
    """A pipeline that hands a page over as the shared library does."""
    encoded = base64.b64encode(gzip.compress(text.encode())).decode()
    lines = "\\n".join(textwrap.wrap(encoded, 70))
    return (
        f"node {{ writeFile file: 'p.b64', text: '{lines}'\n"
        "  sh 'base64 -d p.b64 | gunzip > page.json'\n"
        "  nbciPage file: 'page.json', report: 'artifact/report/' }"
    )


def test_a_page_that_a_pipeline_hands_over(controller: Controller, make: MakeJob) -> None:
    build = controller.build(make("page", pipeline(_hand_over(json.dumps(_sample_page())))))
    assert build.result == "SUCCESS", build.log
    assert str(_sample_page()["pipeline"]) in build.text("notebook/")


@pytest.fixture
def library(controller: Controller, tmp_path: Path) -> Iterator[str]:
    """The address of a repository with the shared library as it is committed here."""
    host = urlsplit(controller.url).hostname
    if host not in {"127.0.0.1", "localhost"}:
        pytest.skip("the controller is on another machine, which cannot read from this one")
    if "git" not in controller.text("pluginManager/api/json?tree=plugins[shortName]"):
        pytest.skip("the controller has no plugin git")
    repository = tmp_path / "library.git"
    for words in (
        ("init", "--quiet", "--bare", str(repository)),
        ("-C", str(ROOT), "push", "--quiet", str(repository), "HEAD:refs/heads/main"),
        # git then reads it from any server of files
        ("-C", str(repository), "update-server-info"),
    ):
        subprocess.run(["git", *words], check=True)
    handler = functools.partial(SilentFiles, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/library.git"
    server.shutdown()
    server.server_close()
    thread.join()


class SilentFiles(SimpleHTTPRequestHandler):
    """Serves files, and prints nothing of it."""

    def log_message(self, *_: object) -> None:
        pass


def test_the_shared_library_fills_the_same_page(
    controller: Controller, make: MakeJob, library: str
) -> None:
    script = (
        "library(identifier: 'nbci@main', retriever: modernSCM(libraryPath: 'jenkins-plugin-shim/',"
        f" scm: [$class: 'GitSCMSource', remote: '{library}']))\n"
        f"nbciPipeline(target: 'score.yaml', command: '{NBCI_ON_AGENTS}') {{\n"
        f"  sh '''{_SCORE}'''\n}}"
    )
    build = controller.build(make("library", pipeline(script)))
    # its gate asks for more than the default gives
    assert build.result == "UNSTABLE", build.log
    assert _pages(build) == ["notebook/"]
    page = build.text("notebook/")
    assert "misses by 0.4" in _words(page)
    report = re.search(rf"/{build.path}([^\"]*/)index.html", page)
    assert report is not None
    assert "score" in build.text(f"{report[1]}index.html")


def test_a_hostile_page(controller: Controller, make: MakeJob) -> None:
    job = make("hostile", pipeline(_hand_over(json.dumps(_hostile(_sample_page())))))
    build = controller.build(job)
    assert build.result == "SUCCESS", build.log
    for path in (f"{build.path}notebook/", job, f"{job}notebook/", f"{job}buildHistory/ajax"):
        shown = controller.text(path)
        assert "<script>document.title" not in shown, path
        assert "<img src=x" not in shown, path
    assert "&lt;script&gt;" in build.text("notebook/")
    assert "${1+1}" in build.text("notebook/")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("huge", json.dumps({"format": 1, "headline": "x" * 3_000_000}), "1024 kB"),
        ("broken", '{"format": 1, "headline', "page"),
        ("newer", json.dumps({"format": 99}), "99"),
    ],
)
def test_a_page_that_cannot_be_read(
    controller: Controller, make: MakeJob, name: str, text: str, problem: str
) -> None:
    build = controller.build(make(f"page-{name}", pipeline(_hand_over(text))))
    assert build.result == "SUCCESS", build.log
    (line,) = [line for line in build.log.splitlines() if line.startswith("nbci: ")]
    assert problem in line.replace(",", "")
    assert build.controller.request("GET", f"{build.path}notebook/").status_code == 200


@pytest.mark.parametrize("file", ["no-such.json", "../outside.json", "/etc/passwd"])
def test_a_page_that_is_not_there(controller: Controller, make: MakeJob, file: str) -> None:
    name = f"page-{file.strip('./').replace('/', '-')}"
    build = controller.build(
        make(name, pipeline(f"node {{ nbciPage file: '{file}', report: '' }}"))
    )
    assert build.result == ("SUCCESS" if file == "no-such.json" else "FAILURE"), build.log
    assert file in build.log
    assert "root:" not in build.log


_OLD_STEP = """
<io.jenkins.plugins.ml.IPythonBuilder plugin="machine-learning@1.0.1">
  <code>print("old code")</code><filePath></filePath><parserType>text</parserType>
  <task>Old Task</task><kernelName>python</kernelName>
</io.jenkins.plugins.ml.IPythonBuilder>
"""


def test_a_job_of_the_machine_learning_plugin(
    controller: Controller, make: MakeJob, folder: str
) -> None:
    job = make("old", freestyle(_OLD_STEP))
    kept = controller.groovy(
        f"println jenkins.model.Jenkins.get().getItemByFullName('{folder}/old').builders.collect"
        " { [it.class.simpleName, it.cells*.code, it.kernel, it.folder] }"
    )
    assert kept == '[[NotebookBuilder, [print("old code")], python3, .]]'
    assert controller.request("GET", f"{job}configure").status_code == 200


def test_settings_of_other_versions(controller: Controller, make: MakeJob) -> None:
    """An older one wrote fewer fields, a newer one writes fields that this one does not know."""
    step = f"<{STEP}><command>{NBCI_ON_AGENTS}</command><target>a.py</target>{{}}</{STEP}>"
    make_file = shell_step(f"cat > a.py <<'END'\nprint('ran')\n{THESE_TESTS}\nEND")
    for name, more in (("older", ""), ("newer", "<parallel><degree>4</degree></parallel>")):
        build = controller.build(make(name, freestyle(make_file, step.format(more))))
        assert build.result == "SUCCESS", build.log
        assert controller.request("GET", f"{build.job}configure").status_code == 200


_ALL_FIELDS = {
    "target": "a/b.ipynb",
    "name": "typed",
    "kernel": "python3",
    "parameters": "a=1\nb=two words",
    "from": "load",
    "until": "train",
    "only": "train",
    "folder": "work",
    "environment": "lock.txt",
    "runTimeout": "2h",
    "cellTimeout": "20m",
    "advisoryGates": "true",
}


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("fields", [_ALL_FIELDS, {}], ids=["all", "bare"])
def test_the_form_keeps_what_was_saved(
    controller: Controller, make: MakeJob, reader: Reader, fields: dict[str, str]
) -> None:
    cells = [("x = '<&\"'\n\nif x:\n    print(x)", "step:load"), ("print(1)", "step:train")]
    step = notebook_step(*cells, bound={"TOKEN": "text"} if fields else {}, **fields)
    job = make(f"form-{len(fields)}", freestyle(step))
    given = _step_fields(controller.text(f"{job}config.xml"))
    _save_form(controller, reader, job)
    saved = controller.text(f"{job}config.xml")
    assert _step_fields(saved) == given
    _save_form(controller, reader, job)
    assert controller.text(f"{job}config.xml") == saved


def _save_form(controller: Controller, reader: Reader, job: str) -> None:
    reading = reader.read_address(f"{controller.url}{job}configure", headers=controller.headers)
    reading.page.wait_for_load_state("networkidle")
    reading.page.click("button[name=Submit]")
    reading.page.wait_for_url(lambda url: not url.endswith("configure"))
    assert reading.complaints == []


def _step_fields(config: str) -> dict[str, object]:
    """The fields of the step that say something."""
    document = ElementTree.fromstring(re.sub("^<[?].*?[?]>", "", config))
    step = document.find(f"builders/{STEP}")
    assert step is not None
    found: dict[str, object] = {}
    for field in step:
        items = [{part.tag: part.text or "" for part in item} for item in field]
        if items or field.text not in {None, "", "false"}:
            found[field.tag] = items or field.text
    return found


def _form_methods() -> dict[str, list[str]]:
    """Each class with a form, and the ends of the addresses that the form asks."""
    found: dict[str, list[str]] = {}
    sources = ROOT / "jenkins-plugin-shim/plugin/hpi/src/main/java"
    for path in sorted(sources.rglob("*.java")):
        text = path.read_text(encoding="utf-8")
        names = re.findall(r"^    ?[ ]*public \w+ do((?:Check|Fill|Test)\w*)\(", text, re.MULTILINE)
        if names:
            described = ".".join(path.relative_to(sources).with_suffix("").parts)
            found[described] = [name[0].lower() + name[1:] for name in names]
    return found


@pytest.mark.needs("jenkins-reader")
@pytest.mark.parametrize("described", _form_methods())
def test_who_only_reads_asks_nothing(
    controller: Controller,
    reading_user: Controller,
    score_builds: tuple[Build, Build],
    described: str,
) -> None:
    form = {"value": "x", "command": "/nowhere/nbci", "agent": "nowhere"}
    for place in ("", score_builds[0].job):
        for name in _form_methods()[described]:
            path = f"{place}descriptorByName/{described}/{name}"
            answer = controller.request("POST", path, data=form)
            assert answer.status_code == 200, f"{path}: {answer.text[:500]}"
            assert controller.request("GET", f"{path}?value=x").status_code in {404, 405}, path
            assert reading_user.request("POST", path, data=form).status_code == 403, path
            assert reading_user.request("GET", f"{path}?value=x").status_code in {403, 404, 405}


@pytest.mark.needs("jenkins-reader")
def test_who_only_reads_sees_the_pages(
    reading_user: Controller, score_builds: tuple[Build, Build]
) -> None:
    build = score_builds[1]
    for path in (f"{build.path}notebook/", f"{build.job}notebook/"):
        assert "score" in _words(reading_user.text(path))
    for method in ("GET", "POST"):
        assert reading_user.request(method, f"{build.job}configure").status_code == 403


@pytest.fixture
def settings(controller: Controller, plugin: Path) -> Iterator[None]:
    """The settings of the controller, which are put back after the test."""
    before = controller.groovy(KEEP_SETTINGS)
    yield
    controller.groovy(PUT_SETTINGS_BACK.replace("BEFORE", before))


_CASC = f"""
unclassified:
  nbci:
    command: "{NBCI_ON_AGENTS}"
    runTimeout: "3h"
    maximumPageKilobytes: 2048
    trendBuilds: 20
tool:
  nbci:
    installations:
      - name: "here"
        home: "{NBCI_ON_AGENTS}"
"""


@pytest.mark.usefixtures("settings")
def test_configuration_as_code(controller: Controller, make: MakeJob) -> None:
    if controller.request("POST", "configuration-as-code/export").status_code == 404:
        pytest.skip("the controller has no plugin configuration-as-code")
    controller.post(
        "configuration-as-code/apply", data=_CASC, headers={"Content-Type": "application/x-yaml"}
    )
    exported = controller.request("POST", "configuration-as-code/export").text
    for line in ('runTimeout: "3h"', "maximumPageKilobytes: 2048", "trendBuilds: 20"):
        assert line in exported
    assert f'home: "{NBCI_ON_AGENTS}"' in exported

    # a job that names none takes the controller's, and another the installation
    for name, installation in (("by-default", ""), ("by-tool", "here")):
        step = notebook_step("1", command="", installation=installation)
        build = controller.build(make(name, freestyle(step)))
        assert build.result == "SUCCESS", build.log
        assert "--run-timeout=3h" in build.log


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_in_a_browser(
    controller: Controller,
    score_builds: tuple[Build, Build],
    reader: Reader,
    width: int,
    dark: bool,
) -> None:
    passed, refused = score_builds
    theme = "dark" if dark else "light"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    # a long path in the head of a narrow page is too much for a script of Jenkins itself
    own = _show(controller, reader, f"{passed.path}testReport/", width, dark).complaints
    for name, path in {
        "passed": f"{passed.path}notebook/",
        "refused": f"{refused.path}notebook/",
        "job": f"{passed.job}notebook/",
        "front": passed.job,
        "build": refused.path,
    }.items():
        reading = _show(controller, reader, path, width, dark)
        picture = SCREENSHOTS / f"jenkins-{name}-{width}-{theme}.png"
        reading.page.screenshot(path=picture, full_page=True)
        assert set(reading.complaints) <= set(own)
        assert reading.broken_images() == []
        # the other pages are Jenkins' own, and as wide as that makes them
        if path.endswith("notebook/"):
            assert reading.overflowing() == []


def _show(controller: Controller, reader: Reader, path: str, width: int, dark: bool) -> Reading:
    reading = reader.read_address(
        controller.url + path, headers=controller.headers, width=width, dark=dark
    )
    reading.page.wait_for_load_state("networkidle")
    return reading


_OWN_PART = re.compile(r"<(io[.]nbci[.][\w.]*)[ >].*?</\1>", re.DOTALL)


def _records(controller: Controller, folder: str) -> dict[str, str]:
    """The files of the jobs in the folder, as they are on the disk, and the plugin's parts of the
    records of their builds: other plugins write theirs in another order each time.
    """
    found: dict[str, str] = json.loads(controller.groovy(RECORDS.replace("FOLDER", folder)))
    for name, text in found.items():
        if "#" in name:
            found[name] = "".join(part[0] for part in _OWN_PART.finditer(text))
    assert any("#" in name and text for name, text in found.items())
    return found


@pytest.mark.needs("jenkins-restart")
def test_a_restart_leaves_everything_as_it_was(
    controller: Controller, folder: str, score_builds: tuple[Build, Build]
) -> None:
    controller.groovy(SAVE_ALL.replace("FOLDER", folder))
    before = _records(controller, folder)
    pages = [f"{build.path}notebook/" for build in score_builds]
    pages.append(f"{score_builds[0].job}notebook/")
    words = [_words(controller.text(page)) for page in pages]
    assert all(words)

    controller.restart()

    assert [_words(controller.text(page)) for page in pages] == words
    assert _records(controller, folder) == before
    # what was read is all that was there
    controller.groovy(SAVE_ALL.replace("FOLDER", folder))
    assert _records(controller, folder) == before


@pytest.mark.needs("jenkins-restart")
def test_a_restart_in_the_middle(controller: Controller, make: MakeJob) -> None:
    name = f"restarted-{secrets.token_hex(4)}"
    # not for long: what runs on an agent, Jenkins leaves alone when it restarts
    cell = "import time; print('it sleeps'); time.sleep(40)"
    step = f"nbciNotebook(command: '{NBCI_ON_AGENTS}', name: '{name}', cells: [[code: \"{cell}\"]])"
    classic = controller.start(make("restarted", freestyle(notebook_step(cell, name=name))))
    other = controller.start(make("restarted-pipeline", pipeline(f"node {{ {step} }}")))
    for build in (classic, other):
        build.wait_for_line("] it sleeps")

    controller.restart()

    # of a classic build that it stopped Jenkins may keep no record
    assert controller.request("GET", classic.job).status_code == 200
    assert controller.request("GET", classic.path).status_code in {200, 404}
    other.wait()
    assert other.result == "FAILURE", other.log
    assert "it sleeps" in other.log
    assert controller.request("GET", other.path).status_code == 200
    wait_for("the end of what ran", lambda: _is_gone(controller, make, name), 90)


@pytest.mark.needs("jenkins-restart")
def test_uninstalled_and_installed_again(
    controller: Controller, folder: str, plugin: Path, score_builds: tuple[Build, Build]
) -> None:
    """The last one here: jobs and builds are readable meanwhile, and afterwards as they were."""
    passed, refused = score_builds
    before = _records(controller, folder)
    words = _words(passed.text("notebook/"))
    remove_plugin(controller)
    for path in (passed.job, passed.path, refused.path):
        assert controller.request("GET", path).status_code == 200
        assert controller.request("GET", f"{path}api/json").status_code == 200
    assert (passed.result, refused.result) == ("SUCCESS", "UNSTABLE")
    assert "Finished: SUCCESS" in passed.log
    assert "notebook/report/index.html" in _artifacts(passed)
    assert _pages(passed) == []

    upload_plugin(controller, plugin)
    controller.restart()
    assert _words(passed.text("notebook/")) == words
    assert _records(controller, folder) == before
