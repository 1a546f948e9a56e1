"""A path that holds a secret is written down nowhere, and what was read there is not counted on."""

from __future__ import annotations

from nbci.engine.observed.kinds import BY_NAME
from nbci.engine.observed.record import without_secret_paths
from nbci.kernels.job import Seen
from nbci.secrets import Mask


def test_paths_that_hold_a_secret_are_left_out_and_said_to_be() -> None:
    secret, plain = "/data/s3cret-cellar/wine.sqlite", "/data/wine.csv"
    seen = Seen(
        interpreter="/bin/python",
        sights=(("file", secret, ()), ("file", plain, ())),
        stamps={secret: (1, 1, 1, 1), plain: (2, 2, 2, 2)},
        written=(f"{secret}-wal",),
    )

    fit = without_secret_paths(seen, Mask(["s3cret-cellar"]))

    assert "s3cret" not in repr(fit)
    assert fit.sights == (("file", plain, ()),)
    assert fit.has_secret_paths
    assert BY_NAME["secret path"].kept == "if asked"


def test_where_there_is_none_nothing_is_said() -> None:
    seen = Seen(interpreter="/bin/python", sights=(("file", "/data/wine.csv", ()),))
    assert without_secret_paths(seen, Mask(["s3cret-cellar"])) == seen
