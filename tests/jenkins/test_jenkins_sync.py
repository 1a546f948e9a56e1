"""`nbci jenkins sync`: what it makes, what it changes, and what it never touches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from nbci.errors import UsageError
from nbci.jenkins.items import MARK, differences, is_ours, merge_xml, wanted_items

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.console import Console
    from tests.support.jenkins import FakeJenkins

_URL = "https://git.example.com/a.git"
_SYNC = ("jenkins", "sync", "--job", "new/deep/digits", "--repository", _URL)


def test_folders_and_job_are_made_once(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    looked = nbci(*_SYNC, "--dry-run", env=at)
    assert looked.returncode == 0, looked.stderr
    assert "+ new/deep/digits  to be made" in looked.stdout
    assert "new" not in jenkins.jobs
    done = nbci(*_SYNC, "--yes", env=at)
    assert done.returncode == 0, done.stderr
    assert jenkins.jobs["new/deep"].kind.endswith("Folder")
    assert jenkins.jobs["new/deep/digits"].kind.endswith("WorkflowMultiBranchProject")
    assert f"<remote>{_URL}</remote>" in jenkins.jobs["new/deep/digits"].xml
    again = nbci(*_SYNC, "--json", "--yes", env=at)
    assert {change["action"] for change in json.loads(again.stdout)["changes"]} == {"keep"}
    assert json.loads(again.stdout)["done"] is False


def test_a_watch_has_a_job_of_its_own(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], tmp_path: Path
) -> None:
    script = "jenkins/watch.Jenkinsfile"
    watch = (*_SYNC[:2], "--repository", _URL, "--jenkinsfile", script, "--yes", "--job", "team/a")
    missing = nbci(*watch, env=at)
    assert missing.returncode == 2
    assert f"there is no {script}" in missing.stderr

    path = tmp_path / script
    path.parent.mkdir(exist_ok=True)
    path.write_text("nbciMonitor(model: 'wine')\n")
    unnamed = nbci(*watch[:-2], env=at)
    assert unnamed.returncode == 2
    assert "needs a job of its own" in unnamed.stderr
    assert "team/a" not in jenkins.jobs

    done = nbci(*watch, env=at)
    assert done.returncode == 0, done.stderr
    assert f"<scriptPath>{script}</scriptPath>" in jenkins.jobs["team/a"].xml
    assert is_ours(jenkins.jobs["team/a"].xml)
    assert "nothing to do" in nbci(*watch, env=at).stdout


def test_only_what_differs_is_changed(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    assert nbci(*_SYNC, "--yes", env=at).returncode == 0
    job = jenkins.jobs["new/deep/digits"]
    own = "<properties><credentials>kept</credentials></properties>"
    job.xml = job.xml.replace("</description>", f"</description>{own}", 1).replace(
        _URL + "</remote>", "other</remote>"
    )
    done = nbci(*_SYNC, "--yes", env=at)
    assert done.returncode == 0, done.stderr
    assert f"/source/remote: 'other' → '{_URL}'" in done.stdout
    assert f"<remote>{_URL}</remote>" in job.xml
    assert own in job.xml
    posted = [
        seen.path
        for seen in jenkins.seen
        if seen.method == "POST" and seen.path.endswith("config.xml")
    ]
    assert posted == ["/job/new/job/deep/job/digits/config.xml"]


def test_what_others_made_is_not_touched(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    before = jenkins.jobs["team/train"].xml
    refused = nbci("jenkins", "sync", "--job", "team/train", "--repository", _URL, "--yes", env=at)
    assert refused.returncode == 2
    assert "team/train is there already, and nbci did not make it" in refused.stderr
    beside = nbci("jenkins", "sync", "--job", "team/digits", "--repository", _URL, "--yes", env=at)
    assert beside.returncode == 0, beside.stderr
    assert "= team  there, and left as it is" in beside.stdout
    assert (jenkins.jobs["team"].xml, jenkins.jobs["team/train"].xml) == ("<folder/>", before)


def test_nobody_to_ask(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    done = nbci(*_SYNC, env=at)
    assert done.returncode == 2
    assert "--yes to do it" in done.stderr
    assert "new" not in jenkins.jobs


def test_a_change_by_somebody_else_meanwhile_is_seen(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    assert nbci(*_SYNC, "--yes", env=at).returncode == 0
    job = jenkins.jobs["new/deep/digits"]
    job.xml = job.xml.replace(">20<", ">7<")
    read = 0

    def change(seen: object) -> None:
        nonlocal read
        if getattr(seen, "path", "").endswith("digits/config.xml"):
            read += 1
            job.xml += " " if read == 2 else ""

    jenkins.answers = change
    done = nbci(*_SYNC, "--yes", env=at)
    assert done.returncode == 2
    assert "was changed by somebody else" in done.stderr
    assert ">7<" in job.xml


def test_what_jenkins_adds_is_no_difference(jenkins: FakeJenkins) -> None:
    """As it comes back: XML 1.1, versions of plugins, elements that nobody sent."""
    *_, item = wanted_items("a/b", "https://git.example.com/a&b.git")
    stored = item.xml.replace(
        "WorkflowMultiBranchProject>", 'WorkflowMultiBranchProject plugin="m@1">', 1
    ).replace("<triggers>", "<properties/><folderViews class='x'/><triggers>")
    assert is_ours(stored)
    assert differences(stored, item.xml) == ()
    assert differences(merge_xml(stored, item.xml), item.xml) == ()
    recorded = jenkins.recorded("config").body.decode()
    assert not is_ours(recorded)
    with pytest.raises(UsageError, match="this is a flow-definition"):
        merge_xml(recorded, item.xml)


def test_what_job_dsl_made_of_casc_yaml_is_known_and_gets_what_it_lacks() -> None:
    """As job-dsl writes it from casc.yaml; Jenkins computes the trigger's times from `5m`.

    https://github.com/jenkinsci/job-dsl-plugin/blob/master/job-dsl-core/src/main/groovy/javaposse/jobdsl/dsl/helpers/workflow/BranchSourcesContext.groovy
    https://github.com/jenkinsci/cloudbees-folder-plugin/blob/master/src/main/java/com/cloudbees/hudson/plugins/folder/computed/PeriodicFolderTrigger.java
    """
    *_, item = wanted_items("a/b", _URL)
    traits = item.xml[item.xml.index("<traits>") : item.xml.index("</traits>") + len("</traits>")]
    rest = (
        "<credentialsId/><includes>*</includes><excludes/>"
        "<ignoreOnPushNotifications>false</ignoreOnPushNotifications>"
    )
    found = item.xml.replace(traits, rest)
    assert "<spec>* * * * *</spec>" in item.xml
    assert is_ours(found)
    assert [line.rpartition(": ")[2] for line in differences(found, item.xml)] == [
        "traits is not there → made"
    ]
    assert differences(merge_xml(found, item.xml), item.xml) == ()


def test_a_part_of_another_class_is_replaced() -> None:
    *_, item = wanted_items("a/b", _URL)
    other = item.xml.replace("jenkins.plugins.git.GitSCMSource", "org.example.Source").replace(
        "<id>nbci</id>", "<id>nbci</id><secret>x</secret>"
    )
    assert len(differences(other, item.xml)) == 1
    now = merge_xml(other, item.xml)
    assert differences(now, item.xml) == ()
    assert "<secret>" not in now


def test_the_mark_is_in_every_description() -> None:
    for item in wanted_items("a/b/c", "https://git.example.com/x?<y>"):
        found = ET.fromstring(item.xml.partition("?>")[2]).findtext("description")
        assert found is not None
        assert found.endswith(MARK)
