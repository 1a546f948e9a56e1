"""A target on disk, read: the pipeline, its project, and digests of the files it came from."""

from __future__ import annotations

import hashlib
import itertools
import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.config import Project, find_project
from nbci.dataflow.star_imports import star_import_names
from nbci.errors import Location, UsageError
from nbci.notebook.read import SUFFIXES, parse_notebook
from nbci.pipeline.compose import compose, notebook_pipeline
from nbci.pipeline.composition import references, unfold
from nbci.pipeline.document import notebook_paths, read_document
from nbci.pipeline.step_kinds import notebooks_of_kinds
from nbci.pipeline.tagged import understand
from nbci.project.targets import PIPELINE_SUFFIXES, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbci.dataflow.code import Stars
    from nbci.notebook.cells import Notebook
    from nbci.pipeline.model import Pipeline, TaggedNotebook


class Target(Struct, frozen=True, kw_only=True):
    """What a command works on.

    `sources` maps each file read, relative to the root, to the digest of its bytes. `linked`: a
    link in the project led to it.
    """

    project: Project
    pipeline: Pipeline
    sources: Mapping[str, str]
    linked: bool = False


def read_target(name: str, folder: str | None = None) -> Target:
    """Read a notebook or a pipeline file, and every notebook that it names.

    `folder` is where the cells of a notebook run, by default its own; the project is then the one
    that this lies in.
    """
    path = Path(name)
    if path.is_dir():
        raise UsageError("this is a folder", hint=_hint_inside(path), where=Location(name))
    if not path.exists():
        raise UsageError("there is no such file", hint=did_you_mean(name), where=Location(name))
    place: str | None = None
    if folder is None:
        project = find_project(path)
    else:
        project = find_project(Path(folder))
        place = project.relative(Path(folder))
    relative = project.relative(path)
    read_other_file = project_reader(project)

    def read_file(file: str) -> bytes | None:
        # The target exists: where it is no regular file, reading it says what is wrong.
        if file == relative:
            return _read_bytes(project.root / file, file)
        return read_other_file(file)

    pipeline, sources = read_pipeline(relative, read_file, folder=place)
    return Target(
        project=project, pipeline=pipeline, sources=sources, linked=_is_linked(path, project.root)
    )


def project_reader(project: Project) -> Callable[[str], bytes | None]:
    """A function that gives the content of a file by its path from the root; None if not there."""

    def read_file(file: str) -> bytes | None:
        place = project.root / file
        if not place.is_file():
            return None
        return _read_bytes(place, file)

    return read_file


def _is_linked(path: Path, root: Path) -> bool:
    here = Path(os.path.abspath(path))
    # Above the root links do not matter: the whole project may lie behind one.
    below = itertools.takewhile(lambda place: place.resolve() != root, (here, *here.parents))
    return any(place.is_symlink() for place in below)


def read_pipeline(
    path: str, read: Callable[[str], bytes | None], *, folder: str | None = None
) -> tuple[Pipeline, dict[str, str]]:
    """The pipeline of a file, and the digests of all files that it came from.

    `read` gives a file's content, None where there is none; paths are relative to the project's
    root.
    """
    suffix = Path(path).suffix
    if suffix not in (*PIPELINE_SUFFIXES, *SUFFIXES):
        raise UsageError(
            "this is neither a notebook (.ipynb, .py, .md) nor a pipeline (.yaml)",
            where=Location(path),
        )
    data = read(path)
    if data is None:
        raise UsageError("there is no such file", where=Location(path))
    sources = {path: source_digest(data)}
    if suffix in SUFFIXES:
        tagged = _with_references(_read_tagged(data, path, read, folder), read, sources)
        return notebook_pipeline(tagged, path, folder), sources
    if folder is not None:
        raise UsageError(
            "`--in` is for notebooks",
            hint="`cwd: project` in a pipeline file says it",
            where=Location(path),
        )
    return _read_pipeline_file(data, path, read, sources), sources


def _read_pipeline_file(
    data: bytes, path: str, read: Callable[[str], bytes | None], sources: dict[str, str]
) -> Pipeline:
    """The pipeline; the digests of its notebooks are put into `sources`."""
    try:
        # Editors on Windows may begin a file with a byte order mark, which YAML need not see.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"this is not UTF-8 text (byte {error.start})", where=Location(path)
        ) from error
    document = read_document(text, path)

    notebooks = {}
    for notebook, where in notebook_paths(document):
        content = read(notebook)
        if content is None:
            raise UsageError(f"there is no notebook {notebook}", where=where)
        sources[notebook] = source_digest(content)
        tagged = _read_tagged(content, notebook, read)
        notebooks[notebook] = _with_references(tagged, read, sources)
    return compose(document, notebooks)


def _read_tagged(
    data: bytes, path: str, read: Callable[[str], bytes | None], folder: str | None = None
) -> TaggedNotebook:
    """The notebook, with what its star imports of the project's own modules bind."""
    tagged = understand(parse_notebook(data, path))
    stars = star_imports(tagged.notebook, read, folder)
    if not stars:
        return tagged
    return replace(tagged, stars=stars)


def _with_references(
    tagged: TaggedNotebook, read: Callable[[str], bytes | None], sources: dict[str, str]
) -> TaggedNotebook:
    """The notebook with those that it refers to; their digests are put into `sources`."""
    others = {}
    for path, reference in references(tagged).items():
        data = read(path)
        if data is None:
            where = tagged.notebook.where(tagged.notebook.cell(reference.cell))
            raise UsageError(f"there is no notebook {path}", hint=did_you_mean(path), where=where)
        sources[path] = source_digest(data)
        others[path] = _read_tagged(data, path, read)
    return unfold(tagged, others)


def star_imports(
    notebook: Notebook, read: Callable[[str], bytes | None], folder: str | None = None
) -> Stars:
    """The names that the notebook's star imports bind.

    `read` gives files of the project by their paths from its root.
    """
    if notebook.language != "python":
        return {}
    # Where Python looks first: the folder of the notebook, then those that people put on the path.
    folders = dict.fromkeys((folder or posixpath.dirname(notebook.path), ".", "src"))
    code = [cell.source for cell in notebook.cells if cell.kind == "code"]
    return star_import_names(code, list(folders), read)


def read_notebooks(project: Project, sources: Mapping[str, str]) -> dict[str, TaggedNotebook]:
    """The notebooks of a stored plan, with those that nbci brings.

    UsageError when one of its files changed since the plan was made.
    """
    notebooks = dict(notebooks_of_kinds())
    for relative, digest in sources.items():
        path = project.root / relative
        where = Location(relative)
        # No file of a plan is empty: the digest of nothing is never the one in the plan.
        data, problem = b"", "the file has gone"
        if path.exists():
            data = _read_bytes(path, relative)
            problem = "the file has changed since the plan was made"
        if source_digest(data) != digest:
            raise UsageError(problem, hint="plan and run again", where=where)
        if path.suffix in SUFFIXES:
            notebooks[relative] = _read_tagged(data, relative, project_reader(project))
    return notebooks


def _read_bytes(path: Path, shown: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=Location(shown)) from error


def source_digest(data: bytes) -> str:
    """The digest (BLAKE2b) by which a notebook or pipeline file is seen to have changed."""
    # Of Python itself, not the BLAKE3 of values: the files are few and small, imports cost more.
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def _hint_inside(folder: Path) -> str:
    found: list[str] = []
    for pattern in ("*.yaml", "*.yml", "*.ipynb", "pipelines/*.yaml", "notebooks/*.ipynb"):
        found.extend(map(str, sorted(folder.glob(pattern))))
    if not found:
        return "name a notebook or a pipeline file"
    return f"name one of its files: {', '.join(found[:5])}"
