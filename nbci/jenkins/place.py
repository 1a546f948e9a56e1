"""Find the job on the controller, check its parameters, and fetch the report of a build."""

from __future__ import annotations

import re
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from nbci.errors import IntegrityError, UsageError, spelling_hint
from nbci.formatting.numbers import listed
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.config import Project
    from nbci.jenkins.controller import Controller

_UNSAFE = re.compile(r"[^\w.-]+")
_REPORT = "report"
_ARCHIVE = "report.zip"


def job_name(project: Project, given: str | None = None) -> str:
    """The job's path: as given, as the project says, else after the project's folder."""
    by_folder = _UNSAFE.sub("-", project.root.name) or "project"
    name = (given or project.jenkins.job or f"nbci/{by_folder}").strip("/")
    for part in name.split("/"):
        # Jenkins refuses dots as names, and drops spaces around one: the job would be another
        if part in {"", ".", ".."} or part != part.strip():
            raise UsageError(
                f"{name!r} is no path of a job",
                hint="write names between slashes, as in nbci/digits",
            )
    return name


def find_job(
    controller: Controller, name: str, branch: str | None, current: str | None
) -> tuple[str, dict[str, Any]]:
    """The job that builds: of a multibranch job that of `branch`, or else of `current`."""
    found = controller.job(name)
    if "jobs" not in found:
        if branch is not None:
            raise UsageError(f"job {name} has no branches", hint="leave --branch out")
        return name, found

    jobs = {branch_of(str(job["name"])): str(job["name"]) for job in found["jobs"]}
    branches = list(jobs)
    wanted = branch or current
    if wanted is None:
        raise UsageError(
            f"job {name} builds branches", hint=f"name one with --branch: {_listed(branches)}"
        )

    # file systems of macOS give names of branches with their accents apart
    wanted = unicodedata.normalize("NFC", wanted)
    if wanted not in branches:
        listing = f"push it, or name another; it has {_listed(branches)}"
        raise UsageError(
            f"job {name} has no branch {wanted!r}",
            hint=spelling_hint(wanted, branches, listing),
        )
    whole = f"{name}/{jobs[wanted]}"
    return whole, controller.job(whole)


def branch_of(job: str) -> str:
    """The branch that a job of a multibranch project is for, from the job's own name.

    Jenkins encodes some characters of a branch and leaves others: `a/b#1&c` has the job
    `a%2Fb%231&c`. Which ones is its own affair (jenkins.branch.NameEncoder), so names are only ever
    read, never made.
    """
    return unicodedata.normalize("NFC", unquote(job))


def definitions(job: Mapping[str, Any]) -> dict[str, Mapping[str, Any]] | None:
    """The parameters that a job declares, by name; None when it takes none."""
    for each in job.get("property") or ():
        if "parameterDefinitions" in each:
            return {str(found["name"]): found for found in each["parameterDefinitions"]}
    return None


def checked_parameters(
    job: Mapping[str, Any], name: str, pairs: Sequence[str]
) -> dict[str, str] | None:
    """The values to trigger a job with; UsageError for one that the job does not declare.

    Jenkins itself drops such a value without a word.
    """
    declared = definitions(job)
    values = dict(_split_pairs(pairs))
    if declared is None and values:
        raise UsageError(
            f"job {name} has no parameters",
            hint="Jenkins learns of a Jenkinsfile's parameters in its first build:"
            " run it once without -p",
        )
    if declared is None:
        return None

    for key, value in values.items():
        definition = declared.get(key)
        if definition is None:
            known = list(declared)
            raise UsageError(
                f"job {name} has no parameter {key!r}",
                hint=spelling_hint(key, known, f"it has {_listed(known)}"),
            )
        choices = definition.get("choices")
        if choices and value not in choices:
            raise UsageError(f"{key}: {value!r} is none of {_listed(choices)}")
    return values


def report_files(paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Pair each file of the report with its place below the folder that it is fetched to.

    What stands before `report/` is left out when it is the same for all: a build with several
    reports keeps them apart. UsageError when a file would land outside the folder.
    """
    split = {}
    for path in paths:
        parts = PurePosixPath(path).parts
        if _REPORT in parts:
            split[path] = parts
    heads = {parts[: parts.index(_REPORT)] for parts in split.values()}

    found = []
    for path, parts in split.items():
        below = parts
        if len(heads) == 1:
            below = parts[parts.index(_REPORT) + 1 :]
        # names come from the controller, or from an archive that any step of the build could write
        if path.startswith("/") or ".." in parts or not below:
            raise UsageError(
                f"the build has an artifact named {path!r},"
                " which is no name of a file below a folder"
            )
        found.append((path, "/".join(below)))
    return tuple(found)


def fetch_report(controller: Controller, job: str, number: int, folder: Path) -> tuple[str, ...]:
    """Write the report's files into a folder, and return their names there.

    They are artifacts each, or, where htmlpublisher shows the report, in one archive.
    """
    artifacts = controller.build(job, number).get("artifacts") or ()
    paths = [str(artifact["relativePath"]) for artifact in artifacts]

    packed: dict[str, bytes] = {}
    with TemporaryDirectory() as place:
        for index, path in enumerate(paths):
            if PurePosixPath(path).name == _ARCHIVE:
                archive = Path(place) / f"{index}.zip"
                controller.fetch(job, number, path, archive)
                packed |= _unpack(path, archive)

    # all names are checked before the first file is written
    files = report_files([*paths, *packed])
    for path, below in files:
        if path in packed:
            write_atomic(folder / below, packed[path])
        else:
            controller.fetch(job, number, path, folder / below)
    return tuple(below for _, below in files)


def _unpack(path: str, archive: Path) -> dict[str, bytes]:
    """The files of an archive, by the names that they would have as artifacts beside it."""
    beside = PurePosixPath(path).parent
    try:
        with zipfile.ZipFile(archive) as packed:
            files = {}
            for member in packed.infolist():
                if not member.is_dir():
                    files[str(beside / member.filename)] = packed.read(member)
            return files
    except (zipfile.BadZipFile, zlib.error) as error:
        raise IntegrityError(
            f"the artifact {path} is no archive that can be read: {error}"
        ) from error


def _split_pairs(pairs: Iterable[str]) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise UsageError(f"-p {pair!r}: write NAME=VALUE")
        yield key, value


def _listed(names: Sequence[str]) -> str:
    return listed([str(name) for name in names], 10) or "none"
