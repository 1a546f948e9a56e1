"""`nbci jenkins init` and `nbci jenkins check`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given

from nbci.errors import UsageError
from nbci.jenkins.bringup import Library, casc, find_library, plugins_text
from nbci.jenkins.groovy import quoted
from nbci.jenkins.items import MARK, is_ours, wanted_items
from nbci.jenkins.jenkinsfile import generated_part, update_part
from nbci.jenkins.parameters import jenkins_parameter
from nbci.params.parameter import Parameter
from nbci.params.types import ParameterType, parse_text, type_named, type_of
from nbci.project.sources import read_target
from tests.support.console import ROOT
from tests.support.jenkins import Answer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.console import Console
    from tests.support.jenkins import FakeJenkins

_LIBRARY = ("--library", "https://git.example.com/nbci.git@v1")
_VALUES = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    st.lists(st.integers()),
    st.dictionaries(st.text("abc", min_size=1), st.integers()),
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for part in ("notebooks", "pipelines"):
        shutil.copytree(ROOT / part, tmp_path / part)
    for pipeline in (tmp_path / "pipelines").iterdir():
        if pipeline.name != "digits.yaml":
            pipeline.unlink()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    remote = "https://me:my-password@git.example.com/team/digits.git"
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
    return tmp_path


def test_init_writes_what_a_controller_needs(nbci: Console, project: Path) -> None:
    done = nbci("jenkins", "init", *_LIBRARY, "--job", "team/digits")
    assert done.returncode == 0, done.stderr
    text = (project / "Jenkinsfile").read_text()
    assert (
        "string(name: 'C', defaultValue: '1.0', description: 'cost of a training error; higher"
        in text
    )
    assert "nbciPipeline(target: nbciTarget, parameters: nbciParameters" in text
    found = yaml.safe_load((project / "jenkins/casc.yaml").read_text())
    library = found["unclassified"]["globalLibraries"]["libraries"][0]
    assert (library["name"], library["defaultVersion"]) == ("nbci", "v1")
    assert [node["permanent"]["labelString"] for node in found["jenkins"]["nodes"]] == [
        "linux",
        "gpu",
    ]
    users = found["jenkins"]["securityRealm"]["local"]["users"]
    assert users == [{"id": "admin", "password": "${JENKINS_ADMIN_PASSWORD}"}]
    assert "multibranchPipelineJob('team/digits')" in found["jobs"][0]["script"]
    assert "remote('https://git.example.com/team/digits.git')" in found["jobs"][0]["script"]
    text = (project / "jenkins/plugins.txt").read_text()
    plugins = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert {"workflow-aggregator", "git", "junit", "configuration-as-code", "job-dsl"} <= set(
        plugins
    )
    # No update centre has it: as a line of its own it would stop the installation of all others.
    assert "nbci" not in plugins
    assert "`make plugin` builds nbci.hpi" in text
    for path in (project / "jenkins/casc.yaml", project / "Jenkinsfile"):
        assert "my-password" not in path.read_text()
    assert nbci("jenkins", "check").returncode == 0


def test_what_was_written_by_hand_is_kept(nbci: Console, project: Path) -> None:
    assert nbci("jenkins", "init", *_LIBRARY).returncode == 0
    path = project / "Jenkinsfile"
    mine = (
        "// mine: $HOME 'é'\n"
        + path.read_text().replace("label: 'linux'", "label: 'big && linux'")
        + "\n// end\n"
    )
    path.write_text(mine)
    (project / "jenkins/casc.yaml").write_text("jenkins: {}\n")
    pipeline = project / "pipelines/digits.yaml"
    pipeline.write_text(
        pipeline.read_text().replace("default: 1.0", "default: 2.5")
        + "triggers: {cron: H 3 * * *}\n"
    )
    outdated = nbci("jenkins", "check")
    assert outdated.returncode == 2
    assert "-    string(name: 'C', defaultValue: '1.0'" in outdated.stdout
    assert "+    string(name: 'C', defaultValue: '2.5'" in outdated.stdout
    assert nbci("jenkins", "init", *_LIBRARY).returncode == 0
    now = path.read_text()
    assert "pipelineTriggers(nbciStartsHere ? [cron('H 3 * * *')] : [])" in now
    cut = re.compile(r"// >>> nbci.*// <<< nbci", re.DOTALL)
    assert cut.sub("", now) == cut.sub("", mine)
    assert (project / "jenkins/casc.yaml").read_text() == "jenkins: {}\n"
    assert nbci("jenkins", "check").returncode == 0


def test_a_job_that_watches_has_a_jenkinsfile_of_its_own(nbci: Console, project: Path) -> None:
    (project / "pipelines/watch.yaml").write_text(
        "steps: {watch: {monitor: {model: digits, log: logs}}}\ntriggers: {cron: H * * * *}\n"
    )
    watch = ("--jenkinsfile", "jenkins/watch.Jenkinsfile")
    done = nbci("jenkins", "init", "pipelines/watch.yaml", *watch, *_LIBRARY)
    assert done.returncode == 0, done.stderr
    text = (project / "jenkins/watch.Jenkinsfile").read_text()
    assert "nbciMonitor(pipeline: nbciTarget, parameters: nbciParameters, label: 'linux')" in text
    assert "pipelineTriggers(nbciStartsHere ? [cron('H * * * *')] : [])" in text
    assert [path.name for path in (project / "jenkins").iterdir()] == ["watch.Jenkinsfile"]
    assert not (project / "Jenkinsfile").exists()
    assert nbci("jenkins", "check", *watch).returncode == 0
    outside = nbci("jenkins", "init", "pipelines/watch.yaml", "--jenkinsfile", "../x", *_LIBRARY)
    assert outside.returncode != 0
    assert not (project.parent / "x").exists()


def test_a_job_that_trains_again_takes_the_decision(project: Path) -> None:
    pipeline = project / "pipelines/digits.yaml"
    text = pipeline.read_text() + "triggers: {monitor: {pipeline: pipelines/watch.yaml}}\n"
    pipeline.write_text(text)
    part = generated_part(read_target(str(pipeline)).pipeline)
    assert "string(name: 'NBCI_DECISION', defaultValue: ''" in part
    assert "nbciParameters.NBCI_DECISION" not in part


_HERE = "!env.CHANGE_ID && (!env.BRANCH_NAME || env.BRANCH_IS_PRIMARY == 'true')"


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ("", ["  pipelineTriggers([]),"]),
        (
            "triggers: {data: '@hourly', after: [a, b/c]}\nbuilds: {keep: 30, at_once: newest}",
            [
                f"def nbciStartsHere = {_HERE}",
                (
                    "  pipelineTriggers(nbciStartsHere ? "
                    "[cron('@hourly'), upstream(upstreamProjects: 'a, b/c')] : []),"
                ),
                "  buildDiscarder(logRotator(numToKeepStr: '30')),",
                "  disableConcurrentBuilds(abortPrevious: true),",
            ],
        ),
        (
            'triggers: {cron: ["H 3 * * *", "H 9 * *"], poll: "H", branches: [main, "it\'s"]}',
            [
                (
                    "def nbciStartsHere = "
                    "!env.CHANGE_ID && ['main', 'it\\'s'].contains(env.BRANCH_NAME)"
                ),
                (
                    "  pipelineTriggers(nbciStartsHere ? "
                    "[cron('H 3 * * *\\nH 9 * *'), pollSCM('H')] : []),"
                ),
            ],
        ),
        (
            "builds: {at_once: one}",
            ["  pipelineTriggers([]),", "  disableConcurrentBuilds(abortPrevious: false),"],
        ),
        ("builds: {at_once: all}", ["  pipelineTriggers([]),"]),
    ],
)
def test_what_starts_builds_and_keeps_them(project: Path, settings: str, lines: list[str]) -> None:
    """All of it in the one call, before any parameter is read."""
    path = project / "pipelines/digits.yaml"
    path.write_text(f"{path.read_text()}{settings}\n")
    part = generated_part(read_target(str(path)).pipeline).splitlines()
    call = part[part.index("properties([") : part.index("])") + 1]
    found = [
        line
        for line in part
        if line.startswith(("def nbciStartsHere", "  pipeline", "  build", "  disable"))
    ]
    assert found == lines
    assert set(found) - {line for line in found if line.startswith("def")} <= set(call)
    assert "".join(part).count("properties([") == 1
    assert next(at for at, line in enumerate(part) if "params." in line) > part.index("])")


def test_a_timer_is_for_one_thing(project: Path) -> None:
    path = project / "pipelines/digits.yaml"
    path.write_text(path.read_text() + "triggers: {data: '@hourly', cron: '@daily'}\n")
    with pytest.raises(UsageError, match="`cron` and `data` do not go together"):
        read_target(str(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("node { }\n", "there is no generated part in it"),
        ("// >>> nbci\n// <<< nbci\n// >>> nbci\n// <<< nbci\n", "are not one pair"),
        ("// >>> nbci\n", "there is no generated part"),
    ],
)
def test_a_file_without_marks_is_not_touched(
    nbci: Console, project: Path, text: str, said: str
) -> None:
    (project / "Jenkinsfile").write_text(text)
    done = nbci("jenkins", "init", "pipelines/digits.yaml", *_LIBRARY)
    assert done.returncode == 2
    assert said in done.stderr
    assert (project / "Jenkinsfile").read_text() == text
    assert not (project / "jenkins").exists()


def test_marks_alone_are_filled(nbci: Console, project: Path) -> None:
    (project / "Jenkinsfile").write_text("// >>> nbci\n// <<< nbci\nnode { }\n")
    assert nbci("jenkins", "init", "pipelines/digits.yaml", *_LIBRARY).returncode == 0
    assert (project / "Jenkinsfile").read_text().endswith("// <<< nbci\nnode { }\n")
    assert nbci("jenkins", "check").returncode == 0


def test_windows_line_endings_stay(project: Path) -> None:
    pipeline = read_target(str(project / "pipelines/digits.yaml")).pipeline
    text = "// >>> nbci\r\n// <<< nbci\r\nnode { }\r\n"
    once = update_part(text, pipeline)
    assert "\n" not in once.replace("\r\n", "")
    assert update_part(once, pipeline) == once


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "where is nbci's shared library?"),
        (("pipelines/nothing.yaml", *_LIBRARY), "there is no such file"),
        ((*_LIBRARY, "--job", "a//b"), "is no path of a job"),
    ],
)
def test_what_is_not_known_is_asked_for(
    nbci: Console, project: Path, words: tuple[str, ...], said: str
) -> None:
    done = nbci("jenkins", "init", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_linter_is_asked(
    nbci: Console, project: Path, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    assert nbci("jenkins", "init", *_LIBRARY).returncode == 0
    scripted = nbci("jenkins", "check", env=at)
    assert scripted.returncode == 0, scripted.stdout + scripted.stderr
    assert (
        "Jenkins 2.568.2 read it as Groovy; its linter checks declarative pipelines only"
        in scripted.stdout
    )
    errors = {"data": {"errors": [{"error": "WorkflowScript: 3: unexpected token: } @ line 3"}]}}
    jenkins.linter = Answer(200, {}, json.dumps(errors).encode())
    broken = nbci("jenkins", "check", env=at)
    assert broken.returncode == 2
    assert "the controller's linter: WorkflowScript: 3: unexpected token" in broken.stdout
    jenkins.linter = Answer(404)
    assert "has no linter" in nbci("jenkins", "check", env=at).stdout


@given(value=_VALUES)
def test_a_default_comes_back_from_jenkins(value: Any) -> None:
    kind = type_of(value)
    shown = jenkins_parameter(Parameter(name="x", default=value, type=kind, source="here"))
    assert parse_text(shown.default, kind) == value


@pytest.mark.parametrize(
    ("kind", "default", "groovy"),
    [
        ("bool", True, "booleanParam(name: 'x', defaultValue: true, description: 'h')"),
        ("int", 3, "string(name: 'x', defaultValue: '3', description: 'h (int)')"),
        ("str", "a\nb", "text(name: 'x', defaultValue: 'a\\nb', description: 'h')"),
        ("list[int]", [1], "text(name: 'x', defaultValue: '[1]', description: 'h (list[int])')"),
        ("Literal['a', 'b']", "b", "choice(name: 'x', choices: ['b', 'a'], description: 'h')"),
        (
            "Optional[int]",
            None,
            "string(name: 'x', defaultValue: '', description: 'h (int or None)')",
        ),
    ],
)
def test_types_as_jenkins_has_them(kind: str, default: Any, groovy: str) -> None:
    named = type_named(kind)
    assert named is not None
    assert (
        jenkins_parameter(
            Parameter(name="x", default=default, type=named, source="here", help="h")
        ).groovy
        == groovy
    )


def test_what_is_empty_is_left_to_the_pipeline() -> None:
    optional = ParameterType(kind="int", optional=True)
    assert jenkins_parameter(
        Parameter(name="x", default=None, type=optional, source="here")
    ).optional


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_as_groovy_ends_where_it_ends(text: str) -> None:
    """Read back by the rules of Groovy's strings in single quotes."""
    source = quoted(text)
    assert source[0] == source[-1] == "'"
    body = source[1:-1]
    assert "\n" not in body
    assert re.fullmatch(r"(?:[^'\\]|\\.)*", body) is not None
    decoded = json.loads('"' + body.replace('"', '\\"').replace("\\'", "'") + '"', strict=False)
    assert decoded == text


def test_sync_knows_what_configuration_as_code_made(nbci: Console, project: Path) -> None:
    assert nbci("jenkins", "init", *_LIBRARY, "--job", "team/digits").returncode == 0
    script = yaml.safe_load((project / "jenkins/casc.yaml").read_text())["jobs"][0]["script"]
    for item in wanted_items("team/digits", "https://git.example.com/team/digits.git"):
        description = ET.fromstring(item.xml.partition("?>")[2]).findtext("description")
        assert f"description('{description}')" in script
        assert is_ours(item.xml)


def test_sync_knows_what_configuration_as_code_made_before_there_were_marks() -> None:
    *_, item = wanted_items("team/digits", "https://git.example.com/team/digits.git")
    assert is_ours(item.xml.replace(MARK, ""))
    assert not is_ours(item.xml.replace(MARK, "").replace("<id>nbci</id>", "<id>another</id>"))


def test_a_dollar_is_no_variable_of_configuration_as_code() -> None:
    found = yaml.safe_load(casc("a/b", "https://git.example.com/${x}", Library(url="u"), ()))
    assert "remote('https://git.example.com/^${x}')" in found["jobs"][0]["script"]


@pytest.mark.parametrize(
    ("given_url", "library"),
    [
        ("https://u:p@git.example.com/n.git", Library(url="https://git.example.com/n.git")),
        ("git@git.example.com:n.git@v2", Library(url="git@git.example.com:n.git", version="v2")),
        ("git@git.example.com:n.git", Library(url="git@git.example.com:n.git")),
    ],
)
def test_where_the_library_is(tmp_path: Path, given_url: str, library: Library) -> None:
    from nbci.config import find_project

    assert find_library(find_project(tmp_path), given_url) == library
    (tmp_path / "jenkins-plugin-shim/vars").mkdir(parents=True)
    assert "nbci@local" in find_library(find_project(tmp_path)).line


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    from nbci.config import find_project

    (tmp_path / "pyproject.toml").write_text('[tool.nbci]\njenkins.token = "abc"\n')
    with pytest.raises(UsageError, match="jenkins has no key 'token'"):
        find_project(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/team/digits.git",
        "git@github.com:team/digits.git",
        "ssh://git@github.com/team/digits",
    ],
)
def test_pull_requests_of_forks_run_the_jenkinsfile_of_their_target(url: str) -> None:
    fork = "org.jenkinsci.plugins.github__branch__source.ForkPullRequestDiscoveryTrait"
    nobody = "org.jenkinsci.plugins.github_branch_source.ForkPullRequestDiscoveryTrait$TrustNobody"
    *_, item = wanted_items("a/b", url, "github")
    source = ET.fromstring(item.xml.partition("?>")[2]).find(
        "sources/data/jenkins.branch.BranchSource/source"
    )
    assert source is not None
    assert (source.findtext("repoOwner"), source.findtext("repository")) == ("team", "digits")
    trust = source.find(f"traits/{fork}/trust")
    assert trust is not None
    assert trust.get("class") == nobody
    script = yaml.safe_load(casc("a/b", url, Library(url="u"), (), "github"))["jobs"][0]["script"]
    assert f"traits << '{fork}' {{" in script
    assert f"trust(class: '{nobody.replace('$', '^$')}')" in script
    assert "github-branch-source" in plugins_text("github")


def test_pull_requests_that_are_elsewhere(tmp_path: Path) -> None:
    from nbci.config import find_project

    with pytest.raises(UsageError, match="is no repository on"):
        wanted_items("a/b", "https://github.com.evil.example/team/digits", "github")
    (tmp_path / "pyproject.toml").write_text('[tool.nbci]\njenkins.pull_requests = "gitlab"\n')
    with pytest.raises(UsageError, match="is none of: github"):
        find_project(tmp_path)
