"""What the documentation says is so: commands run, their output appears, links resolve, tables are
complete.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

import pytest

from nbci.cli.main import COMMANDS
from nbci.notebook.tags import _SPELLINGS
from nbci.records.run_record import FailureKind
from tests.support.console import ROOT, Console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAGES: Final = (
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
_NAMES: Final = [path.relative_to(ROOT).as_posix() for path in _PAGES]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXITS = re.compile(r"\s+# exits (\d+)$")
_SETTING = re.compile(r"[A-Z_]+=")
_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4,7}")
_TIME = re.compile(r"\d+ h \d+ min|\d+ min \d+ s|\d+(\.\d+)? (ms|s)\b")
_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that a page shows, the exit code that it names, and the lines of output that it
    shows.
    """

    line: str
    exit_code: int
    shown: tuple[str, ...]


def blocks(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return [body for found, body in _FENCE.findall(text) if found == language]


def commands(name: str) -> Iterator[Command]:
    """The commands of a page's console blocks; a line `...` stands for any lines."""
    for block in blocks(name, "console"):
        head, *rest = re.split(r"^\$ ", block, flags=re.MULTILINE)
        assert not head.strip(), f"{name}: a console block begins with `$ nbci`"
        for text in rest:
            line, *shown = text.splitlines()
            exits = _EXITS.search(line)
            yield Command(
                line=_EXITS.sub("", line),
                exit_code=int(exits[1]) if exits else 0,
                shown=tuple(said for said in shown if said.strip() not in {"", "..."}),
            )


def normalised(line: str) -> str:
    """The line without what differs from run to run: ids, times, numbers, the width of columns."""
    for pattern, placeholder in ((_RUN, "RUN"), (_TIME, "TIME"), (_NUMBER, "N")):
        line = pattern.sub(placeholder, line)
    return " ".join(line.split())


def follow(console: Console, name: str) -> list[str]:
    """Run a page's commands one after another; what is not as the page says."""
    wrong = []
    for command in commands(name):
        program, *words = shlex.split(command.line)
        assert program == "nbci", command.line
        done = console(*words)
        said = {normalised(line) for line in (done.stdout + done.stderr).splitlines()}
        if done.returncode != command.exit_code:
            wrong.append(f"{command.line}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        wrong += [
            f"{command.line}: never says {line!r}"
            for line in command.shown
            if normalised(line) not in said
        ]
    return wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Tour:
    """The samples in a project of their own, after the commands of the README."""

    console: Console
    wrong: list[str]


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Tour:
    folder = tmp_path_factory.mktemp("tour")
    for part in ("notebooks", "pipelines"):
        shutil.copytree(
            ROOT / part,
            folder / part,
            ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__"),
        )
    subprocess.run(["git", "init", "-q", folder], check=True)
    console = Console(folder)
    return Tour(console=console, wrong=follow(console, "README.md"))


def test_the_readme_does_what_it_shows(tour: Tour) -> None:
    assert len(list(commands("README.md"))) >= 4
    assert not tour.wrong, "\n".join(tour.wrong)


@pytest.mark.parametrize(
    "name", [name for name in _NAMES if name != "README.md" and blocks(name, "console")]
)
def test_a_page_does_what_it_shows(tour: Tour, name: str) -> None:
    wrong = follow(tour.console, name)
    assert not wrong, "\n".join(wrong)


def test_the_readme_names_what_a_run_leaves_behind(tour: Tour) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("### What is left behind")[2].partition("###")[0]
    run = json.loads(tour.console("runs", "--json").stdout)[-1]["run"]
    folder = tour.console.cwd / ".nbci" / "runs" / run
    patterns = [
        path
        for path in re.findall(r"`([^`\s]+/[^`\s]*|[\w.]+\.json)`", section)
        if not path.startswith(".nbci")
    ]
    assert len(patterns) >= 6
    assert [pattern for pattern in patterns if not list(folder.glob(pattern))] == []


def test_records_are_where_their_page_says(tour: Tour) -> None:
    run = json.loads(tour.console("runs", "--json").stdout)[-1]["run"]
    folder = tour.console.cwd / ".nbci" / "runs" / run
    documented = {row[0] for row in table("docs/record.md", "## What a run leaves behind")}
    steps = {path.name for path in (folder / "steps" / "train").iterdir()}
    made = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {"steps"}
    assert {f"steps/STEP/{name}" for name in steps} <= documented
    assert {name for name in made if not {name, f"{name}/"} & documented} == set()


_WITH_A_SIGN = ("--sort",)
"""Options whose value may begin with a dash."""


@pytest.mark.parametrize("name", _NAMES)
def test_commands_to_copy_are_understood(name: str) -> None:
    """In `sh` blocks whole, in running text by their name and options."""
    for line in (line for block in blocks(name, "sh") for line in block.splitlines()):
        words = shlex.split(line, comments=True)
        while words and _SETTING.match(words[0]):
            del words[0]
        if words and words[0].rpartition("/")[2] == "nbci" and not words[1].startswith("-"):
            parser, rest = parser_of(*words[1:])
            parser.parse_args(rest)
    prose = _FENCE.sub("", (ROOT / name).read_text(encoding="utf-8"))
    for text in re.findall(r"`nbci ([^`]+)`", prose):
        command, *words = text.split()
        if not command.startswith("-") and command.islower():
            parser, rest = parser_of(command, *words)
            known = parser._option_string_actions
            named = (
                word
                for before, word in zip(("", *rest), rest, strict=False)
                if before not in _WITH_A_SIGN
            )
            assert [word for word in named if word.startswith("-") and word not in known] == [], (
                text
            )


def parser_of(command: str, *words: str) -> tuple[argparse.ArgumentParser, tuple[str, ...]]:
    """The parser of a command, or of its action, and the words that it parses."""
    assert command in COMMANDS
    module = importlib.import_module(f"nbci.cli.{command}")
    action = getattr(module, "ACTIONS", {}).get(words[0] if words else "")
    if action is not None:
        module, words = importlib.import_module(f"nbci.cli.{action}"), words[1:]
    parser = argparse.ArgumentParser(prog=f"nbci {command}")
    module.add_arguments(parser)
    return parser, words


@pytest.mark.needs("make")
def test_the_two_commands_are_there() -> None:
    lines = [line for block in blocks("README.md", "sh") for line in block.splitlines()]
    goals = [words[1] for line in lines if (words := line.split())[:1] == ["make"]]
    assert goals == ["demo", "test"]
    for goal in goals:
        done = subprocess.run(
            ["make", "--dry-run", f"PYTHON={sys.executable}", goal],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["docs/design.md", "docs/forked-kernels.md", "CONTRIBUTING.md"])
def test_the_map_names_files_that_are_there(name: str) -> None:
    """Paths in backticks are the repository's, or those of the package."""
    text = _FENCE.sub("", (ROOT / name).read_text(encoding="utf-8"))
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", text)
    assert len(named) > 10
    gone = [path for path in named if not any((at / path).exists() for at in (ROOT, ROOT / "nbci"))]
    assert not gone


def test_the_tests_of_forked_kernels_are_there() -> None:
    """The table of what must hold names a test for each line."""
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs/forked-kernels.md").read_text("utf-8"))
    sources = [path.read_text("utf-8") for path in (ROOT / "tests/kernels").glob("test_*.py")]
    assert len(named) > 10
    assert not [name for name in named if not any(f"def {name}(" in text for text in sources)]


@pytest.mark.parametrize("name", _NAMES)
def test_links_resolve(name: str) -> None:
    page = ROOT / name
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        assert place.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(place), target


def anchors(page: Path) -> set[str]:
    """Names of a page's headings in links: in lower case, without punctuation, spaces as `-`."""
    headings = re.findall(
        r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(name: str, heading: str) -> list[list[str]]:
    """The rows of the table under a heading, without their head; what stands in backticks in the
    first cell, bare.
    """
    text = (ROOT / name).read_text(encoding="utf-8").partition(f"{heading}\n")[2]
    assert text, f"{name} has no heading {heading!r}"
    rows = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert rows is not None
    found = []
    for line in rows[0].splitlines()[2:]:
        first, *rest = (cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|")))
        found += [[part.strip("`"), *rest] for part in first.split(", ")]
    return found


def schema() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "schemas" / "pipeline.schema.json").read_bytes())
    return read


@pytest.mark.parametrize(
    ("heading", "part"),
    [
        ("### At the top", None),
        ("### A step", "step"),
        ("### A parameter", "parameter"),
        ("### A metric", "metric"),
    ],
)
def test_every_key_of_a_pipeline_file_is_documented(heading: str, part: str | None) -> None:
    node = schema() if part is None else schema()["$defs"][part]
    keys = node.get("properties") or node["then"]["properties"]
    rows = table("docs/pipelines.md", heading)
    assert sorted(row[0] for row in rows) == sorted(keys)
    for row in rows:
        wanted = keys[row[0]].get("enum", [])
        assert all(f"`{value}`" in row[1] for value in wanted), row


@pytest.mark.parametrize("part", ["gate", "model", "triggers"])
def test_keys_for_later_are_documented(part: str) -> None:
    text = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
    section = text.partition("### Gates, models, triggers")[2].partition("\n## ")[0]
    assert [key for key in schema()["$defs"][part]["properties"] if f"`{key}`" not in section] == []


def test_every_exit_code_is_documented() -> None:
    rows = {int(row[0]): row[1:] for row in table("docs/pipelines.md", "## Exit codes")}
    codes = json.loads((ROOT / "schemas" / "exit-codes.json").read_bytes())["exit_codes"]
    assert sorted(rows) == sorted(code["code"] for code in codes)
    for code in codes:
        name, meaning = rows[code["code"]]
        assert name == f"`{code['name']}`"
        assert meaning.startswith(code["meaning"])


def test_every_kind_of_failure_is_documented() -> None:
    assert [row[0] for row in table("docs/failures.md", "## Kinds")] == list(get_args(FailureKind))


def test_every_key_of_show_is_documented() -> None:
    keys = json.loads((ROOT / "schemas" / "show.schema.json").read_bytes())["properties"]
    assert sorted(row[0] for row in table("docs/record.md", "## Reading it")) == sorted(keys)


def test_every_tag_is_documented() -> None:
    text = (ROOT / "docs" / "tags.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\|(.*?)\|", text, re.MULTILINE))
    assert [tag for tag in _SPELLINGS if not any(f"`{tag}" in cell for cell in documented)] == []


def test_the_layers_are_those_that_are_checked() -> None:
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").partition("## Layers")[2]
    listed = _FENCE.search(text)
    assert listed is not None
    shown = [re.split(r"\s{2,}", line)[0] for line in listed[2].splitlines()]
    assert shown == [re.sub(r"[()]", "", layer) for layer in layers]
