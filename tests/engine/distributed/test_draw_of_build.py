"""All parts of a build of CI draw the same steps for an audit, and other builds others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.config import Project
from nbci.engine.distributed.run_parts import draw_of_build
from nbci.runs.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["BUILD_TAG", "CI_PIPELINE_ID", "GITHUB_RUN_ID", "BUILD_BUILDID"])
def test_a_build_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    project, store = Project(root=tmp_path, audit=0.5), RunFolder(tmp_path / "store")

    first = draw_of_build(project, store, {name: "7", "CI_JOB_URL": "a"})
    again = draw_of_build(project, store, {name: "7", "CI_JOB_URL": "b"})
    other = draw_of_build(project, store, {name: "8"})

    assert first is not None
    assert first == again != other


def test_without_a_build_or_a_share_nothing_is_drawn(tmp_path: Path) -> None:
    store = RunFolder(tmp_path / "store")

    assert draw_of_build(Project(root=tmp_path, audit=0.5), store, {"BUILD_TAG": ""}) is None
    assert draw_of_build(Project(root=tmp_path), store, {"BUILD_TAG": "7"}) is None
