from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.config import Project, find_project
from nbci.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("keep = 0", "keep: 0 is not at least 1"),
        ("jobs = -1", "jobs: -1 is not at least 1"),
        ("keep = true", "keep: True is not of type int"),
        ('keep = "20"', "keep: '20' is not of type int"),
        ("kept = 3", "no key 'kept'"),
        ("store = 3", "store: 3 is not of type dict"),
        ('store.remotes = "team"', "store has no key 'remotes'"),
        ("store.remote = 3", "store.remote: 3 is no name"),
        ('store.remote = ""', "store.remote: '' is no name"),
        ("audit = 1", "audit: 1 is not of type str"),
        ('audit = "0%"', "audit: '0%' is no share"),
        ('audit = "200%"', "audit: '200%' is no share"),
        ('audit = "some"', "audit: 'some' is no share"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.nbci]\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=problem):
        find_project(tmp_path)


def test_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.nbci]\nkeep = 3\nsecrets = ["A"]\nstore.remote = "team"\n', encoding="utf-8"
    )
    project = find_project(tmp_path)
    assert (project.keep, project.secrets, project.jobs, project.remote) == (
        3,
        ("A",),
        None,
        "team",
    )


@pytest.mark.parametrize(
    ("of_file", "of_environment", "remote"),
    [
        (None, None, None),
        ("team", None, "team"),
        (None, "s3://bucket", "s3://bucket"),
        ("team", "s3://bucket", "s3://bucket"),
        ("team", "", "team"),
    ],
)
def test_the_remote_of_the_environment_counts_more_than_that_of_the_file(
    tmp_path: Path, of_file: str | None, of_environment: str | None, remote: str | None
) -> None:
    environ = {}
    if of_environment is not None:
        environ["NBCI_STORE_REMOTE"] = of_environment
    assert Project(root=tmp_path, remote=of_file).shared_remote(environ) == remote
