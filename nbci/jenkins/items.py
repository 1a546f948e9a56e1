"""Folders and jobs as Jenkins' XML: as they should be, compared with what is there, and merged.

What Jenkins or its administrators have added (views, credentials of a folder, other properties) is
neither a difference nor lost: only the elements that nbci sets count.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from nbci.errors import UsageError
from nbci.jenkins.github import on_github, source_xml

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "[made by nbci jenkins sync]"
"""In the description of what nbci made: nothing else is ever touched."""

JENKINSFILE = "Jenkinsfile"
"""The script of a project's first job; others, such as watches, have scripts of their own."""

_SOURCE_ID = "nbci"
# Jenkins writes XML 1.1, which Python's parser (expat) refuses; without the declaration it reads it
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_FOLDER = "com.cloudbees.hudson.plugins.folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A folder or a job, by its path, as it should be."""

    name: str
    xml: str


def wanted_items(
    job: str, repository: str, pull_requests: str | None = None, *, script: str = JENKINSFILE
) -> tuple[Item, ...]:
    """The folders that the job lies in, from the outermost, and the multibranch job itself.

    With `pull_requests`, which is `github`, it builds these, too. The job runs `script`, a path in
    the repository.
    """
    source = _git_source(repository)
    if pull_requests:
        source = source_xml(on_github(repository))

    items = []
    parts = job.split("/")
    for depth in range(1, len(parts)):
        items.append(Item(name="/".join(parts[:depth]), xml=_folder(description_of_folders())))
    description = description_of_job(repository, script)
    items.append(Item(name=job, xml=_multibranch(description, source, script)))
    return tuple(items)


def description_of_folders() -> str:
    """The description of a folder, with the mark by which nbci knows it for its own."""
    return f"Pipelines of notebooks {MARK}"


def description_of_job(repository: str, script: str = JENKINSFILE) -> str:
    """The description of a job, with the same mark."""
    # worded as it always was for the first job: another wording would be a change on controllers
    named = "the Jenkinsfile" if script == JENKINSFILE else script
    return f"Runs {named} of {repository} {MARK}"


def is_ours(xml: str) -> bool:
    """Whether nbci made it: by its mark, or by the id of its source."""
    found = _parse(xml)
    if MARK in (found.findtext("description") or ""):
        return True
    # casc.yaml of early versions of `nbci jenkins init` had no marks
    source_ids = [each.text for each in found.iterfind("./sources//source/id")]
    return _SOURCE_ID in source_ids


def differences(actual: str, wanted: str) -> tuple[str, ...]:
    """What would change, a line each: the element, what it is, what it would be."""
    return tuple(_differences(_parse(actual), _parse(wanted), ""))


def merge_xml(actual: str, wanted: str) -> str:
    """Set every element that `wanted` has in the actual XML, and leave the others as they are.

    UsageError when the two are items of different kinds.
    """
    tree, target = _parse(actual), _parse(wanted)
    if tree.tag != target.tag:
        raise UsageError(
            f"this is a {tree.tag}, and it should be a {target.tag}",
            hint="remove it, or choose another name",
        )
    _merge(tree, target)
    return "<?xml version='1.1' encoding='UTF-8'?>\n" + ET.tostring(tree, encoding="unicode")


def _differences(actual: ET.Element, wanted: ET.Element, place: str) -> Iterator[str]:
    here = _short(wanted.tag)
    if place:
        here = f"{place}/{here}"

    if actual.tag != wanted.tag:
        yield f"{here}: it is a {actual.tag}"
        return
    if wanted.get("class") is not None and actual.get("class") != wanted.get("class"):
        yield f"{here} class: {actual.get('class')!r} → {wanted.get('class')!r}"
    # the text of an element with others in it is only their indentation
    if not len(wanted) and _text(actual) != _text(wanted):
        yield f"{here}: {_text(actual)!r} → {_text(wanted)!r}"
    for child in wanted:
        found = actual.find(child.tag)
        if found is None:
            yield f"{here}: {_short(child.tag)} is not there → {_summary(child)}"
        else:
            yield from _differences(found, child, here)


def _merge(actual: ET.Element, wanted: ET.Element) -> None:
    if wanted.get("class") is not None and actual.get("class") != wanted.get("class"):
        # of another class, nothing that is in it means the same
        actual.attrib = dict(wanted.attrib)
        actual[:] = list(copy.deepcopy(wanted))
        actual.text = wanted.text
        return
    if not len(wanted) and _text(wanted) != _text(actual):
        actual.text = wanted.text
    for child in wanted:
        found = actual.find(child.tag)
        if found is None:
            actual.append(copy.deepcopy(child))
        else:
            _merge(found, child)


def _parse(xml: str) -> ET.Element:
    try:
        return ET.fromstring(_DECLARATION.sub("", xml))  # noqa: S314 - from the user's own controller
    except ET.ParseError as error:
        raise UsageError(f"Jenkins' description of the job is not understood: {error}") from error


def _text(element: ET.Element) -> str:
    return (element.text or "").strip()


def _short(tag: str) -> str:
    return tag.rpartition(".")[2]


def _summary(element: ET.Element) -> str:
    text = " ".join("".join(element.itertext()).split())
    return text or "made"


def _folder(description: str) -> str:
    return f"""<?xml version='1.1' encoding='UTF-8'?>
<{_FOLDER}.Folder>
  <description>{escape(description)}</description>
</{_FOLDER}.Folder>
"""


def _git_source(repository: str) -> str:
    return f"""<source class="jenkins.plugins.git.GitSCMSource">
          <id>{_SOURCE_ID}</id>
          <remote>{escape(repository)}</remote>
          <traits>
            <jenkins.plugins.git.traits.BranchDiscoveryTrait/>
          </traits>
        </source>"""


def _multibranch(description: str, source: str, script: str) -> str:
    # the trigger looks for new branches every 5 minutes, for where no forge's hook tells of a push
    multibranch = "org.jenkinsci.plugins.workflow.multibranch"
    return f"""<?xml version='1.1' encoding='UTF-8'?>
<{multibranch}.WorkflowMultiBranchProject>
  <description>{escape(description)}</description>
  <orphanedItemStrategy class="{_FOLDER}.computed.DefaultOrphanedItemStrategy">
    <pruneDeadBranches>true</pruneDeadBranches>
    <daysToKeep>-1</daysToKeep>
    <numToKeep>20</numToKeep>
  </orphanedItemStrategy>
  <triggers>
    <{_FOLDER}.computed.PeriodicFolderTrigger>
      <spec>* * * * *</spec>
      <interval>300000</interval>
    </{_FOLDER}.computed.PeriodicFolderTrigger>
  </triggers>
  <sources class="jenkins.branch.MultiBranchProject$BranchSourceList">
    <data>
      <jenkins.branch.BranchSource>
        {source}
        <strategy class="jenkins.branch.DefaultBranchPropertyStrategy">
          <properties class="empty-list"/>
        </strategy>
      </jenkins.branch.BranchSource>
    </data>
  </sources>
  <factory class="{multibranch}.WorkflowBranchProjectFactory">
    <scriptPath>{escape(script)}</scriptPath>
  </factory>
</{multibranch}.WorkflowMultiBranchProject>
"""
