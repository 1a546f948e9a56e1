from __future__ import annotations

import pytest

from nbci.kernels.explain import missing_module_hint
from nbci.records.run_record import Failure


@pytest.mark.parametrize(
    ("message", "locked", "hint"),
    [
        (
            "No module named 'sklearn'",
            False,
            (
                "the kernel `k` runs /py; install it there: /py -m pip install scikit-learn, "
                "or give the step an `environment:` that has it"
            ),
        ),
        (
            "No module named 'a'",
            True,
            "the kernel `k` runs /py, of the step's `environment:`: add a to its lock file",
        ),
        (
            "No module named 'a.b'",
            False,
            "the kernel `k` runs /py; the version that is installed there may have no a.b",
        ),
        ("something else", False, None),
    ],
)
def test_a_missing_module_is_told_with_its_interpreter(
    message: str, locked: bool, hint: str | None
) -> None:
    failure = Failure(
        kind="exception", message=f"ModuleNotFoundError: {message}", error="ModuleNotFoundError"
    )

    assert missing_module_hint(failure, "k", "/py", locked=locked) == hint
