"""No name from outside reaches another program as one of its options."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import nbci
from nbci.cli.main import run
from nbci.commands import checked_operand, git_command
from nbci.errors import UsageError
from nbci.gates.baselines import commit_of
from nbci.git.process import Git
from nbci.registry.read import fetch_models

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(nbci.__file__).parent
STARTERS = {
    "run",
    "Popen",
    "create_subprocess_exec",
    "call",
    "check_call",
    "check_output",
    "system",
    "execvp",
    "posix_spawn",
}

STARTED = {
    "app/health/programs.py": "nvidia-smi, git and dvc with fixed words, for `nbci doctor`",
    "app/unchanged.py": "git_command",
    "build_commit.py": "git with fixed words, for `nbci --version`",
    "deployment/keeper.py": "what process_target.py makes",
    "deployment/process_target.py": "this program; a model's name begins with a letter or digit",
    "deployment/docker.py": "docker; names are checked operands, or behind `--tag` and `--name`",
    "deployment/kserve_target.py": "kubectl; names are of letters, digits and dashes",
    "deployment/programs.py": "what docker.py, kserve_target.py and systemd_target.py make",
    "deployment/systemd_target.py": "systemctl and systemd-analyze; absolute paths, and names",
    "engine/steps/environment.py": "uv, venv or pip; the lock file's path begins with ./",
    "engine/steps/gpu.py": "nvidia-smi with fixed words",
    "inkernel/failures.py": "what the user's own cell says after `!`",
    "kernels/zygote/spawn.py": "the interpreter of a kernelspec",
    "promotion/packaging.py": "our own module, with absolute paths",
    "git/process.py": "git_command",
    "serving/supervisor.py": "our own module, with this interpreter and fixed words",
    "runs/signature.py": "ssh-keygen with fixed options, absolute paths and a checked name",
    "outputs/by_nbval.py": "our own module, with this interpreter and fixed words",
}
"""Every module that starts a process, and why nothing from outside is an option there."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def starts_a_process(call: ast.Call) -> bool:
    function = call.func
    # Whoever hands a command line to it starts what that names.
    if isinstance(function, ast.Name) and function.id == "run_program":
        return True
    return (
        isinstance(function, ast.Attribute)
        and function.attr in STARTERS
        and isinstance(function.value, ast.Name)
        and function.value.id in {"subprocess", "asyncio", "os"}
        and (function.value.id, function.attr) != ("asyncio", "run")
    )


def asks_git(call: ast.Call) -> bool:
    """Whether this is a call of a `Git`: of it, or of its `get` or `bytes`."""
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr in {"get", "bytes"}:
        function = function.value
    named = function.id if isinstance(function, ast.Name) else getattr(function, "attr", None)
    made = (
        function.func.id
        if isinstance(function, ast.Call) and isinstance(function.func, ast.Name)
        else None
    )
    return named in {"git", "_git"} or made in {"Git", "open_git"}


def is_ours(word: ast.expr, assigned: dict[str, ast.expr]) -> bool:
    """Whether a word is written in the code, or begins with an option that is."""
    match word:
        case ast.Constant(value=str()):
            return True
        case ast.JoinedStr(values=[ast.Constant(value=str() as first), *_]):
            return first.startswith("-")
        case ast.Starred(value=value):
            return is_ours(value, assigned)
        case ast.List(elts=words) | ast.Tuple(elts=words):
            return all(is_ours(each, assigned) for each in words)
        case ast.ListComp(elt=each):
            return is_ours(each, assigned)
        case ast.IfExp(body=one, orelse=other):
            return is_ours(one, assigned) and is_ours(other, assigned)
        case ast.Name(id=name) if name in assigned:
            return is_ours(assigned[name], assigned)
        case _:
            return False


def test_whatever_starts_a_process_is_known_here() -> None:
    found = {
        name for name, tree in modules() if any(starts_a_process(call) for call in calls(tree))
    }
    assert found == set(STARTED)


@pytest.mark.parametrize("name", [name for name, how in STARTED.items() if how == "git_command"])
def test_git_is_started_with_a_command_line_that_was_checked(name: str) -> None:
    source = (PACKAGE / name).read_text(encoding="utf-8")
    assert "git_command(" in source
    assert '["git"' not in source


def test_every_word_of_a_git_command_is_ours() -> None:
    others, count = [], 0
    for name, tree in modules():
        for function in (
            node
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        ):
            assigned: dict[str, Any] = {
                node.targets[0].id: node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            }
            for call in filter(asks_git, calls(function)):
                words = [
                    word
                    for word in call.args
                    if ast.unparse(word) not in {"here", "root", "project.root"}
                ]
                count += 1
                foreign = [word for word in words if not is_ours(word, assigned)]
                others += [f"{name}:{word.lineno}: {ast.unparse(word)}" for word in foreign]
    assert not others, "give them as operands or paths"
    assert count > 30


@pytest.mark.parametrize("operand", ["--upload-pack=touch ran", "-c", "-", "a\nb", "a\0b"])
def test_an_operand_that_is_no_name_is_refused(operand: str) -> None:
    with pytest.raises(UsageError):
        checked_operand(operand)
    with pytest.raises(UsageError):
        git_command(Path(), ["ls-remote"], [operand])


def run_git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """A repository with a commit, and a remote to read from: itself."""
    root = tmp_path / "project"
    run_git(tmp_path, "init", "-q", "project")
    run_git(root, "commit", "-q", "--allow-empty", "-m", "start")
    run_git(root, "remote", "add", "origin", str(root))
    monkeypatch.chdir(root)
    return Git(root)


def hostile(mark: Path) -> list[str]:
    return [
        f"--upload-pack=touch {mark}",
        f"-utouch {mark}",
        f"--output={mark}",
        f"--exec=touch {mark}",
    ]


def test_nothing_that_is_asked_for_runs_or_writes(repository: Git, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for word in hostile(mark):
        assert run(["models", "get", "--url=" + word, "m@latest", "x"]) == 2
        assert commit_of(repository, word) is None
        with pytest.raises(UsageError):
            repository.remote_tags(word, [])
        with pytest.raises(UsageError):
            fetch_models(repository, word, None)
        with pytest.raises(UsageError):
            repository.bytes("cat-file", "blob", operands=[word])
    assert not mark.exists()
    assert os.listdir(repository.folder) == [".git"]


def test_a_path_may_begin_with_a_dash(repository: Git) -> None:
    (repository.folder / "-x").write_text("1", encoding="utf-8")
    assert repository("status", "--porcelain", paths=["-x"]) == "?? -x"
