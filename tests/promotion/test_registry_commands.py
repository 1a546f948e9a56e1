"""The registry as people ask it: lists, history, audit, lineage, fetching and verifying, on real
releases.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nbci.git.process import Git
from tests.support.releases import copy_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.releases import Released

MODEL = "models/digits model.bin"


@pytest.fixture(scope="module")
def history(_built: Released, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    """Two versions, the second rolled back."""
    made = copy_of(_built, tmp_path_factory.mktemp("history") / "released")
    link = _built.root / "linked"
    link.unlink()
    link.symlink_to(made.remote)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBCI_CACHE", str(made.root / "cache"))
        for name in ("BRANCH_NAME", "GIT_BRANCH", "CHANGE_ID"):
            patch.delenv(name, raising=False)
        for words in (
            ("promote", made.runs[0]), ("promote", made.runs[1], "--bump", "minor"),
            ("rollback", "digits", "--reason", "slow on\nolder machines"),
        ):  # fmt: skip
            done = made.nbci(*words, env={"BUILD_URL": f"https://ci/{words[0]}"})
            assert done.returncode == 0, done.stderr
        yield made


def output(released: Released, *words: str | Path, code: int = 0, cwd: Path | None = None) -> str:
    done = released.nbci(*words, cwd=cwd)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_is_where(history: Released) -> None:
    (row,) = json.loads(output(history, "models", "--json"))
    assert (row["version"], row["stage"], row["by"]) == ("v1.0.0", "production", "A Tester")
    assert (row["run"], row["metrics"]) == (history.runs[0], {"train/svm:accuracy": 0.91})
    head, line = output(history, "models").splitlines()
    assert head.split() == ["model", "stage", "version", "since", "by", "metrics"]
    assert line.split()[:3] == ["digits", "production", "v1.0.0"]
    assert line.endswith("accuracy 0.91")
    printed = json.loads(output(history, "models", "history", "digits", "--json"))
    assert [(row["version"], row["stage"]) for row in printed["versions"]] == [
        ("v1.0.0", "production"),
        ("v1.1.0", None),
    ]
    assert "there is no released model 'digit'" in output(
        history, "models", "history", "digit", code=2
    )


def test_who_did_what(history: Released) -> None:
    done = json.loads(output(history, "audit", "--json"))
    assert sorted((deed["version"], deed["action"]) for deed in done) == [
        ("v1.0.0", "promoted"), ("v1.0.0", "released"), ("v1.0.0", "rolled back to"),
        ("v1.1.0", "promoted"), ("v1.1.0", "released"), ("v1.1.0", "rolled back from"),
    ]  # fmt: skip
    last = done[-1]
    assert (last["action"], last["reason"], last["build"]) == (
        "rolled back to",
        "slow on\nolder machines",
        "https://ci/rollback",
    )
    assert "because: slow on older machines" in output(history, "audit", "digits")


def test_lineage_up_and_down(history: Released) -> None:
    tree, _, shared = output(history, "lineage", "digits@1.1.0").partition("\n\n")
    up = tree.splitlines()
    assert up[0] == "model digits@v1.1.0"
    first, second = history.runs[:2]
    # The second run reuses what prepare made in the first one.
    assert shared == f"data/rows.json: reused by run {second}; made by run {first}\n"
    assert [line.strip().split("  ")[0] for line in up[1:]] == [
        f"← file {MODEL}",
        "← step train/svm",
        "← code nb/train.ipynb",
        "← parameter C = 2.0",
        "← file data/rows.json",
        "← step prepare",
        "← code nb/prepare.ipynb",
    ]
    down = output(history, "lineage", "data/rows.json")
    assert f"    → file {MODEL}" in down
    assert "      → model digits" in down
    graph = json.loads(output(history, "lineage", "latest", "--format", "json"))
    assert {"source": "step:prepare", "target": "file:data/rows.json", "values": []} in graph[
        "edges"
    ]
    drawn = output(history, "lineage", "digits#production", "--format", "mermaid").splitlines()
    assert drawn[0] == "flowchart LR"
    assert sum("-->" in line for line in drawn) == 7


def test_files_are_known_from_releases_alone(history: Released, tmp_path: Path) -> None:
    """In a clone, where no run is."""
    Git(tmp_path)("clone", "-q", str(history.origin), "clone")
    down = output(history, "lineage", "data/rows.json", cwd=tmp_path / "clone")
    assert "← step prepare" in down
    assert "→ model digits@v1.1.0" in down
    assert "→ step train/svm" in output(
        history, "lineage", "nb/train.ipynb", cwd=tmp_path / "clone"
    )
    assert "names no model" in output(
        history, "lineage", "data/nothing.json", code=2, cwd=tmp_path / "clone"
    )


def test_runs_that_were_promoted_are_never_cleaned_away(history: Released, tmp_path: Path) -> None:
    made = copy_of(history, tmp_path / "cleaned")
    for _ in range(2):
        assert made.nbci("run", "pipeline.yaml", "-p", "C=3", "--quiet").returncode == 0
    shown = output(made, "clean", "--keep", "1")
    assert shown.startswith("removed ")
    left = {path.name for path in (made.project / ".nbci/runs").iterdir()}
    assert left >= set(made.runs)
    assert output(made, "lineage", made.runs[0])
    for tag in made.tags(made.project):
        made.git("tag", "-d", tag)
    output(made, "clean", "--keep", "1")
    assert not {path.name for path in (made.project / ".nbci/runs").iterdir()} & {made.runs[1]}


def test_a_model_comes_from_anywhere(history: Released, tmp_path: Path) -> None:
    printed = output(history, "models", "get", "digits#production", tmp_path / "here.bin")
    assert printed.startswith("digits v1.0.0")
    assert (tmp_path / "here.bin").read_text() == "1.0 [1, 2, 3]"
    assert "something already" in output(
        history, "models", "get", "digits@1.1.0", tmp_path / "here.bin", code=2
    )
    (tmp_path / "empty").mkdir()
    output(
        history,
        "models",
        "get",
        "digits@1.1.0",
        "--url",
        str(history.origin),
        ".",
        cwd=tmp_path / "empty",
    )
    assert (tmp_path / "empty/digits model.bin").read_text() == "2.0 [1, 2, 3]"
    assert "has no version v3.0.0" in output(history, "models", "get", "digits@3.0.0", ".", code=2)


def test_what_was_altered_is_named(history: Released, tmp_path: Path) -> None:
    assert output(history, "models", "verify") == "2 releases are what they say\n"
    manifest = json.loads(history.git("show", "digits@v1.1.0:.nbci/release.json"))
    digest = manifest["files"][0]["digest"]
    stored = history.remote / "files/md5" / digest[:2] / digest[2:]
    whole = stored.read_bytes()
    stored.chmod(0o644)
    stored.write_text("forged")
    try:
        printed = output(history, "models", "verify", code=5)
        assert (
            printed
            == f"digits v1.1.0: {MODEL}: the object {digest} on the DVC remote was altered\n"
        )
        assert "is not what was promoted" in output(
            history,
            "models",
            "get",
            "digits@1.1.0",
            "--url",
            str(history.origin),
            tmp_path / "got",
            code=5,
        )
        stored.unlink()
        assert "is not on the DVC remote" in output(history, "models", "verify", "--quick", code=5)
    finally:
        stored.write_bytes(whole)


def test_a_release_whose_own_remote_is_gone_is_no_sound_one(
    history: Released, tmp_path: Path
) -> None:
    """Storage moved: this checkout knows where to, a clone of the release does not."""
    made = copy_of(history, tmp_path / "moved")
    config = made.project / ".dvc/config"
    url = config.read_text().partition("url = ")[2].strip()
    config.write_text(config.read_text().replace(url, str(made.remote)))
    Path(url).rename(tmp_path / "linked")
    try:
        printed = output(made, "models", "verify", code=5).splitlines()
        place = ("--url", str(made.origin), tmp_path / "got.bin")
        got = output(made, "models", "get", "digits@1.1.0", *place, code=5, cwd=tmp_path)
    finally:
        (tmp_path / "linked").rename(url)
    assert [line.partition(": ")[0] for line in printed] == ["digits v1.0.0", "digits v1.1.0"]
    for line in printed:
        assert "it cannot be fetched from a clone" in line
    assert "the release lacks something" in got
    assert output(made, "models", "verify") == "2 releases are what they say\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dvc.yaml", ""),
        ("dvc.yaml", "[artifacts]"),
        ("dvc.lock", "stages: [1]"),
        ("dvc.lock", "stages: {train: {outs: [{md5: x}]}}"),
        ("dvc.lock", "stages: {"),
    ],
)
def test_documents_of_any_shape_are_told(
    history: Released, tmp_path: Path, name: str, text: str
) -> None:
    made = copy_of(history, tmp_path / "forged")
    git = Git(made.project)
    git("checkout", "-q", "--detach", "digits@v1.1.0^{commit}")
    (made.project / name).write_text(text)
    git("commit", "-q", "--amend", "--no-edit", "--", name)
    git("tag", "-f", "-a", "-m", "forged", "digits@v1.1.0")
    git("checkout", "-q", "main")
    printed = output(made, "models", "verify", "--quick", code=5)
    assert "digits v1.1.0: its dvc.yaml or dvc.lock cannot be read" in printed


def test_moved_tags_and_foreign_commits_are_named(history: Released, tmp_path: Path) -> None:
    made = copy_of(history, tmp_path / "moved")
    git = Git(made.project)
    git("tag", "-d", "digits@v1.1.0")
    git("tag", "-a", "-m", "forged", "digits@v1.1.0", "digits@v1.0.0^{commit}")
    git("tag", "-a", "-m", "no version", "digits#staging#9", "main")
    printed = output(made, "models", "verify", "--quick", code=5)
    assert "digits v1.1.0: the tag digits@v1.1.0 is another one at origin" in printed
    assert "digits v1.1.0: its evidence is that of digits v1.0.0" in printed
    assert "digits : the tag digits#staging#9 stands on a commit that is no version" in printed
