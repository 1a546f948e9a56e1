"""DVC remotes that fail a promotion: cut half-way, altered, not writable, full.

And what killed promotions leave.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nbci.app.promote_run import promote_run
from nbci.config import find_project
from nbci.errors import InfrastructureError, IntegrityError
from nbci.promotion.promote import Promotion, Request
from nbci.promotion.scratch_folder import scratch_folder
from nbci.runs.project_runs import find_run
from tests.support.console import ROOT
from tests.support.notebooks import write_notebook
from tests.support.s3 import BUCKET, Wire, s3_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.releases import Released

PARTS = 4
PART_BYTES = 200_000


def promoted(released: Released, run: str = "latest") -> Promotion:
    project = find_project(released.project)
    return promote_run(project, find_run(project, run), Request(), os.environ)


@pytest.fixture
def large(released: Released) -> Released:
    """The last run's model is a folder of several files."""
    project = released.project
    write_notebook(
        project / "nb/train.ipynb",
        [
            ("parameters", "C = 1.0"),
            (
                "import json, os\nos.makedirs('models/digits model.bin')\n"
                f"for part in range({PARTS}):\n"
                "    path = f'models/digits model.bin/-{part} ä.bin'\n"
                f"    open(path, 'wb').write(bytes([part]) * {PART_BYTES})\n"
                "json.dump({'accuracy': 0.9}, open('metrics.json', 'w'))"
            ),
        ],
    )
    released.git("commit", "-qam", "a larger model")
    done = released.nbci("run", "pipeline.yaml", "--quiet")
    assert done.returncode == 0, done.stderr
    return released


@pytest.fixture(scope="module")
def s3() -> Iterator[int]:
    """The port of a server."""
    with s3_server() as port:
        yield port


def store_in(released: Released, url: object, **settings: object) -> None:
    """Let this checkout's default remote be another one."""
    lines = [f"    {key} = {value}\n" for key, value in {"url": url, **settings}.items()]
    text = f"[core]\n    remote = other\n['remote \"other\"']\n{''.join(lines)}"
    (released.project / ".dvc/config.local").write_text(text, encoding="utf-8")


def s3_settings(port: int) -> dict[str, object]:
    return {
        "endpointurl": f"http://127.0.0.1:{port}", "region": "us-east-1",
        "access_key_id": "a", "secret_access_key": "b", "read_timeout": 5, "connect_timeout": 5,
    }  # fmt: skip


def test_a_connection_cut_half_way_loses_nothing_and_a_second_try_completes(
    large: Released,
    s3: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    stock: Callable[..., str],
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    wire = Wire(s3, allowed_bytes=PARTS * PART_BYTES // 2)
    try:
        store_in(large, f"s3://{BUCKET}/{tmp_path.name}", **s3_settings(wire.port))
        with pytest.raises(
            InfrastructureError, match="could not be brought to the DVC remote"
        ) as cut:
            promoted(large)
        assert cut.value.hint
        assert large.tags() == large.tags(large.project) == set()
        wire.mend(1 << 40)
        assert promoted(large).version == "v1.0.0"
        assert large.nbci("models", "verify").stdout == "1 release is what it says\n"
    finally:
        wire.close()
    store_in(large, f"s3://{BUCKET}/{tmp_path.name}", **s3_settings(s3))
    model = (large.project, "models/digits model.bin", "--rev", "digits@v1.0.0")
    config = large.project / ".dvc/config.local"
    stock("dvc", "get", *model, "-o", tmp_path / "got", "--config", config, cwd=tmp_path)
    found = {path.name: path.read_bytes() for path in (tmp_path / "got").iterdir()}
    assert found == {f"-{part} ä.bin": bytes([part]) * PART_BYTES for part in range(PARTS)}


def test_an_object_that_was_altered_on_the_remote_is_named_and_nothing_is_promoted(
    large: Released,
) -> None:
    store_in(large, large.remote)
    assert large.nbci("push", "--remote", "other").returncode == 0
    listing = next(path for path in (large.remote / "files/md5").rglob("*.dir"))
    part = next(path for path in (large.remote / "files/md5").rglob("*") if path.is_file()
                and path.stat().st_size == PART_BYTES)  # fmt: skip
    for place in (part, listing):
        whole = place.read_bytes()
        place.chmod(0o644)
        place.write_bytes(whole[:-1] + b"?")
        with pytest.raises(IntegrityError, match=str(place)) as altered:
            promoted(large)
        assert altered.value.hint
        assert large.tags() == large.tags(large.project) == set()
        place.unlink()
    assert promoted(large).version == "v1.0.0"
    assert large.nbci("models", "verify").stdout == "1 release is what it says\n"


@pytest.mark.needs("ordinary-user")
def test_a_remote_that_must_not_be_written_is_told(released: Released) -> None:
    released.remote.chmod(0o555)
    with pytest.raises(InfrastructureError, match="cannot write to"):
        promoted(released)
    released.remote.chmod(0o755)
    assert promoted(released).version == "v1.0.0"


_MOUNTED = """\
mount -t tmpfs -o {option} other '{remote}' || exit 99
cd '{project}'; {python} -P -m nbci promote latest; code=$?
umount '{remote}'
exit $code
"""


@pytest.mark.parametrize(
    ("option", "message"),
    [("size=500k", "No space left on device"), ("ro", "Read-only file system")],
)
def test_a_full_or_read_only_remote_is_told_and_a_second_try_completes(
    large: Released, option: str, message: str
) -> None:
    """On a file system of its own, where this machine lets a test mount one."""
    store_in(large, large.remote)
    script = _MOUNTED.format(
        option=option, remote=large.remote, project=large.project, python=sys.executable
    )
    try:
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if done.returncode in (1, 99) and "nbci" not in done.stderr:
        pytest.skip(f"no file system can be mounted: {done.stderr}")
    assert done.returncode == 4, done.stderr
    assert "could not be brought to the DVC remote" in done.stderr
    assert message in done.stderr
    assert large.tags() == large.tags(large.project) == set()
    assert promoted(large).version == "v1.0.0"


def test_what_a_killed_promotion_leaves_the_next_one_removes(
    released: Released, tmp_path: Path
) -> None:
    place = find_project(released.project).state_folder / "promotions"
    git = tmp_path / "bin/git"
    git.parent.mkdir()
    git.write_text(
        f'#!/bin/sh\n[ "$3" != write-tree ] || kill -9 $PPID\nexec \'{shutil.which("git")}\' "$@"\n'
    )
    git.chmod(0o755)
    done = released.nbci("promote", "latest", env={"PATH": f"{git.parent}:{os.environ['PATH']}"})
    assert done.returncode == -signal.SIGKILL
    (left,) = place.iterdir()
    assert (left / "index").exists()
    with scratch_folder(find_project(released.project)) as busy:
        assert not left.exists()
        assert promoted(released).version == "v1.0.0"
        assert list(place.iterdir()) == [busy]
    assert list(place.iterdir()) == []
