from __future__ import annotations

import resource

import pytest

from nbci.errors import InfrastructureError
from nbci.kernels.descriptors import kernels_at_once


@pytest.mark.parametrize(
    ("limits", "wanted", "possible", "raised"),
    [
        ((1024, 4096), 4, 4, None),
        ((60, 4096), 4, 4, 160),
        ((60, 100), 4, 1, 100),
        ((-1, -1), 9, 9, None),
    ],
)
def test_as_many_kernels_as_files_may_be_open(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    wanted: int,
    possible: int,
    raised: int | None,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wish: asked.append(wish[0]))

    assert kernels_at_once(wanted) == possible
    assert asked == ([] if raised is None else [raised])


def test_too_few_for_one_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (60, 60))
    with pytest.raises(InfrastructureError, match="only 60 files may be open at once") as caught:
        kernels_at_once(2)
    assert caught.value.hint == "raise the limit: ulimit -n 1024"
