"""Text of a notebook file to a `Notebook`: `.ipynb` as JSON, `.py` and `.md` through jupytext."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Any, Literal, NoReturn, cast

from nbci.errors import Location, UsageError
from nbci.formatting.plain import conflict_line
from nbci.formatting.text import multiline_string
from nbci.light_imports import lean_import
from nbci.notebook.cells import Cell, Notebook

SUFFIXES = (".ipynb", ".py", ".md")

# Languages by the names that their kernels' installers give to kernels, as patterns.
_KERNELS = {
    "ir": "r",
    "bash": "bash",
    r"julia-.*": "julia",
    "i?javascript": "javascript",
    "i?ruby": "ruby",
    "xcpp.*": "c++",
}
_KINDS = ("code", "markdown", "raw")


def parse_notebook(data: bytes, path: str) -> Notebook:
    """Read a notebook; UsageError names what is wrong with the file, and where."""
    suffix = PurePosixPath(path).suffix
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{suffix or 'a file without a suffix'} is no kind of notebook that nbci reads",
            hint="notebooks are .ipynb, .py or .md (jupytext)",
            where=Location(path),
        )
    text = _decode(data, path)
    if suffix == ".ipynb":
        return _from_document(_parse_json(text, path), path)
    return _from_document(_parse_jupytext(text, suffix, path), path)


def _decode(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"this is not UTF-8 text (byte {error.start})",
            where=Location(path),
            hint="save the notebook as UTF-8",
        ) from error


def _parse_json(text: str, path: str) -> dict[str, Any]:
    if not text.strip():
        raise UsageError(
            "the file is empty", where=Location(path), hint="a notebook is JSON that Jupyter saved"
        )
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        refuse_conflict(text, path)
        what = f"this is not JSON ({error.msg})"
        # Where the text ends too early, the parser's words mislead.
        if not text[error.pos :].strip() or error.msg.startswith("Unterminated string"):
            what = "the file is cut off"
        raise UsageError(
            what,
            where=Location(path, line=error.lineno, column=error.colno),
            hint="save it again from Jupyter, or take it back from git",
        ) from error
    except RecursionError as error:
        raise UsageError(
            "the JSON is nested too deeply for a notebook", where=Location(path)
        ) from error
    return _as_version_4(document, path)


def refuse_conflict(text: str, path: str) -> None:
    """UsageError for a file that git left half merged."""
    line = conflict_line(text)
    if line is None:
        return
    hint = "settle the merge: `git status` lists the files"
    if path.endswith(".ipynb"):
        hint += (
            "; `git checkout --ours` or `--theirs` takes one side, and nbdime can merge notebooks"
        )
    raise UsageError(
        "the file holds merge-conflict markers (`<<<<<<<`, `=======`, `>>>>>>>`)",
        hint=hint,
        where=Location(path, line=line),
    )


def _as_version_4(document: object, path: str) -> dict[str, Any]:
    version = None
    if isinstance(document, dict):
        version = document.get("nbformat")
    # bool is a subclass of int in Python, and JSON may hold true here.
    if not isinstance(document, dict) or not isinstance(version, int) or isinstance(version, bool):
        raise UsageError(
            "this is JSON, but not a notebook: it has no `nbformat`",
            where=Location(path),
            hint="a notebook has `nbformat`, `metadata` and `cells`",
        )
    if version > 4:
        raise UsageError(
            f"this notebook is of nbformat {version}; nbci reads 3 and 4",
            where=Location(path),
            hint="save it as nbformat 4",
        )
    if version == 4:
        return cast("dict[str, Any]", document)
    return _upgrade(document, path)


def _upgrade(document: dict[str, Any], path: str) -> dict[str, Any]:
    nbformat = lean_import("nbformat")
    try:
        node = nbformat.reads(json.dumps(document), as_version=4)
    # nbformat's converters raise whatever an odd old notebook makes them raise.
    except Exception as error:
        raise UsageError(
            f"nbformat {document['nbformat']} could not be upgraded to 4: {error}",
            where=Location(path),
        ) from error
    return cast("dict[str, Any]", json.loads(json.dumps(node)))


def _parse_jupytext(text: str, suffix: str, path: str) -> dict[str, Any]:
    refuse_conflict(text, path)
    # Its contents managers, for Jupyter's server, are all that needs a web server's library.
    jupytext = lean_import("jupytext", without=("tornado.web",))

    try:
        # Only the suffix is given: which of its formats for it this is, jupytext guesses.
        node = jupytext.reads(text, fmt=suffix.removeprefix("."))
    # jupytext raises several kinds, from YAML's to its own.
    except Exception as error:
        raise UsageError(
            f"jupytext cannot read this as a notebook: {error}", where=Location(path)
        ) from error
    return cast("dict[str, Any]", json.loads(json.dumps(node)))


def _from_document(document: dict[str, Any], path: str) -> Notebook:
    cells = document.get("cells")
    if not isinstance(cells, list) or not isinstance(document.get("metadata", {}), dict):
        _explain_invalid(document, path)
    numbered = enumerate(cells, start=1)
    metadata = document.get("metadata", {})
    spec = _mapping_at(metadata, "kernelspec")
    info = _mapping_at(metadata, "language_info")
    # Jupyter writes language_info when a notebook is run: other programs leave it out.
    language = info.get("name") or spec.get("language") or _language(str(spec.get("name")))
    return Notebook(
        path=path,
        cells=tuple(_cell(raw, number, document, path) for number, raw in numbered),
        kernel_name=native_kernel(spec.get("name")) or None,
        language=str(language).lower(),
        document=document,
    )


def _mapping_at(metadata: dict[str, Any], key: str) -> dict[str, Any]:
    """What the metadata says under this key; nothing where it is no mapping."""
    found = metadata.get(key)
    if isinstance(found, dict):
        return found
    return {}


def native_kernel(name: str | None) -> str | None:
    """The name as Jupyter takes it: `python` means its own kernel.

    So does `KernelManager._kernel_name_changed` in jupyter_client.
    """
    if name == "python":
        return "python3"
    return name


def _language(kernel: str) -> str:
    """The language of a kernel that is known by its name only."""
    for pattern, language in _KERNELS.items():
        if re.fullmatch(pattern, kernel):
            return language
    # People name kernels of environments as they like, and most environments are Python's.
    return "python"


def _cell(raw: object, number: int, document: dict[str, Any], path: str) -> Cell:
    if (
        not isinstance(raw, dict)
        or raw.get("cell_type") not in _KINDS
        or not isinstance(raw.get("metadata", {}), dict)
    ):
        _explain_invalid(document, path, number)
    source = multiline_string(raw.get("source", ""))
    metadata = raw.get("metadata", {})
    tags = metadata.get("tags", [])
    is_list_of_texts = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
    if source is None or not is_list_of_texts:
        _explain_invalid(document, path, number)
    return Cell(
        number=number,
        kind=cast("Literal['code', 'markdown', 'raw']", raw["cell_type"]),
        # Some editors on Windows write these: it is the same cell all the same.
        source=source.replace("\r\n", "\n"),
        # People type tags by hand, with spaces around them.
        tags=tuple(filter(None, map(str.strip, tags))),
        notebook_path=_notebook_path(metadata),
    )


def _notebook_path(metadata: dict[str, Any]) -> str | None:
    path = metadata.get("notebook_path")
    if not isinstance(path, str):
        return None
    return path.strip() or None


def _explain_invalid(document: dict[str, Any], path: str, number: int | None = None) -> NoReturn:
    """Raise what nbformat's own validation says.

    It is slow to import, so it is asked only when something is wrong.
    """
    nbformat = lean_import("nbformat")
    try:
        nbformat.validate(document, relax_add_props=True)
        reason = "its structure is not a notebook's"
    except Exception as error:  # noqa: BLE001 - validation fails in many ways on malformed input
        reason = str(error).splitlines()[0]
    raise UsageError(f"this is not a valid notebook: {reason}", where=Location(path, cell=number))
