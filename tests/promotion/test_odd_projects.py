"""Projects of all kinds: git-LFS, odd names, without DVC, without git.

And changes of a stage at the same moment.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from nbci.git.process import Git
from nbci.registry.read import find_model, read_models
from tests.support.console import Console
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.releases import Released


def output(released: Released, *words: str | Path, code: int = 0) -> str:
    done = released.nbci(*words)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("git-lfs") is not None, reason="git-lfs is installed")
@pytest.mark.parametrize("required", ["true", "false"])
def test_large_files_of_git_lfs_where_git_lfs_is_not_installed(
    released: Released, required: str
) -> None:
    """The repository says that a filter makes its files; the filter's program is not there, as on
    many agents.
    """
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 5\n"
    (released.project / "large.bin").write_text(pointer)
    (released.project / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    released.git("add", ".")
    released.git("commit", "-qm", "large files")
    for key, value in (
        ("clean", "git-lfs clean -- %f"),
        ("smudge", "git-lfs smudge -- %f"),
        ("required", required),
    ):
        released.git("config", f"filter.lfs.{key}", value)
    output(released, "run", "pipeline.yaml", "-p", "C=2", "--quiet")
    assert "digits v1.0.0 is in production" in output(released, "promote", "latest")
    assert released.git("cat-file", "blob", "digits@v1.0.0:large.bin") == pointer.rstrip("\n")


def test_names_that_tools_stumble_over(
    released: Released, stock: Callable[..., str], tmp_path: Path
) -> None:
    project = released.project
    names = ["-o.bin", "models/ä ü' .bin", "--rev"]
    write_notebook(
        project / "nb/train.ipynb",
        [
            ("parameters", "C = 1.0"),
            (
                f"for name in {['models/digits model.bin', *names]}:\n"
                "    open(name, 'w').write('1')\n"
                "open('metrics.json', 'w').write('{}')"
            ),
        ],
    )
    pipeline = project / "pipeline.yaml"
    text = pipeline.read_text().replace(
        "[models/digits model.bin]", json.dumps(["models/digits model.bin", *names])
    )
    pipeline.write_text(
        text.replace("path: models/digits model.bin", f"paths: {json.dumps(names)}")
    )
    (project / ".gitignore").write_text("/models\n/data\n/metrics.json\n/-o.bin\n/--rev\n")
    released.git("commit", "-qam", "odd names")
    output(released, "run", "pipeline.yaml", "--quiet")
    output(released, "promote", "latest")
    assert output(released, "models", "verify") == "1 release is what it says\n"
    output(released, "models", "get", "digits", tmp_path / "got")
    assert [(tmp_path / "got" / name).read_text() for name in names] == ["1"] * len(names)
    stock(
        "dvc",
        "get",
        released.origin,
        names[1],
        "--rev",
        "digits@v1.0.0",
        "-o",
        tmp_path / "one",
        cwd=tmp_path,
    )
    assert (tmp_path / "one").read_text() == "1"


def test_what_a_project_lacks_is_told(released: Released) -> None:
    shutil.rmtree(released.project / ".dvc")
    released.git("commit", "-qam", "no DVC")
    output(released, "run", "pipeline.yaml", "--quiet")
    for words in (("promote", "latest", "--dry-run"), ("promote", "latest")):
        printed = output(released, *words, code=2)
        assert "the project has no DVC repository, where models are kept" in printed
        assert "dvc init" in printed
    output(released, "run", "pipeline.yaml", "--only", "prepare", "--quiet")
    assert "was of a part of the pipeline" in output(released, "promote", "latest", code=3)
    pipeline = released.project / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("framework: plain", "card: docs/card.md"))
    released.git("checkout", "-q", "HEAD~", "--", ".dvc")
    released.git("commit", "-qam", "with a card")
    output(released, "run", "pipeline.yaml", "--quiet")
    printed = output(released, "promote", "latest", code=2)
    assert "the commit has no docs/card.md, which digits names as its card" in printed
    shutil.rmtree(released.project / ".git")
    output(released, "run", "pipeline.yaml", "--quiet")
    assert "this is no git repository, and releases are git tags" in output(
        released, "promote", "latest", code=2
    )
    assert released.tags() == set()


def test_of_two_changes_of_a_stage_at_once_one_wins_or_both_count(
    released: Released, tmp_path: Path
) -> None:
    for run in released.runs:
        output(released, "promote", run)
    words = [("demote", "digits"), ("rollback", "digits"), ("demote", "digits", "--reason", "slow")]
    clones = []
    for number, _ in enumerate(words):
        subprocess.run(
            ["git", "clone", "-q", released.origin, tmp_path / f"clone {number}"], check=True
        )
        clones.append(Console(tmp_path / f"clone {number}"))
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda clone, asked: clone(*asked), clones, words))
    codes = sorted(one.returncode for one in done)
    assert codes[0] == 0, [one.stderr for one in done]
    assert set(codes) <= {0, 2, 4}
    for one in done:
        assert one.returncode != 4 or "was there first" in one.stderr
        assert "Traceback" not in one.stderr
    git = Git(released.origin)
    numbers = [
        event.number
        for event in find_model(read_models(git), "digits").events
        if event.number is not None
    ]
    assert len(numbers) == len(set(numbers))
