"""What every forge must do; a forge is a class of its own, ten lines long.

class TestGitHub(ForgeContract):
    @pytest.fixture
    def forge(self) -> Iterator[FakeForge]:
        yield from serve(FakeForge(kind="github"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from nbci.errors import InfrastructureError, NbciError, UsageError
from nbci.forge.change import Change
from nbci.forge.client import Forge
from nbci.forge.comment import keep_one
from tests.support.forge import ME, SOMEBODY, FakeForge

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["github", "gitlab"]


def client(forge: FakeForge, waits: list[float] | None = None, token: str | None = None) -> Forge:
    kind: Kind = "github" if forge.kind == "github" else "gitlab"
    change = Change(
        forge=kind, api=forge.url, repository="o/r" if kind == "github" else "g/sub/r", number=5
    )
    return Forge(change, token or forge.token, (waits if waits is not None else []).append)


class ForgeContract:
    """One comment is kept on a change, whatever else is there; `forge` is a server on loopback."""

    @pytest.fixture
    def forge(self) -> Iterator[FakeForge]:
        """Each forge is served by a fake that answers as its documentation says."""
        raise NotImplementedError

    def test_a_second_run_writes_the_comment_anew(self, forge: FakeForge) -> None:
        forge.add("well done", SOMEBODY)
        assert keep_one(client(forge), "digits", "20261121-1", "first").what == "created"
        assert keep_one(client(forge), "other", "20261121-1", "another pipeline").what == "created"
        posted = keep_one(client(forge), "digits", "20261121-2", "second")

        assert posted.what == "updated"
        assert forge.bodies == [
            "well done",
            "<!-- nbci digits 20261121-2 -->\nsecond",
            "<!-- nbci other 20261121-1 -->\nanother pipeline",
        ]

    def test_a_run_that_ends_late_leaves_the_comment_of_a_later_one(self, forge: FakeForge) -> None:
        keep_one(client(forge), "digits", "20261121-2", "second")

        assert keep_one(client(forge), "digits", "20261121-1", "first").what == "older"
        assert forge.bodies == ["<!-- nbci digits 20261121-2 -->\nsecond"]

    def test_of_two_that_were_made_at_once_one_stays(self, forge: FakeForge) -> None:
        forge.add("<!-- nbci digits 20261121-1 -->\na")
        forge.add("<!-- nbci digits 20261121-2 -->\nb")
        keep_one(client(forge), "digits", "20261121-3", "c")

        assert forge.bodies == ["<!-- nbci digits 20261121-3 -->\nc"]

    def test_what_somebody_else_wrote_is_never_touched(self, forge: FakeForge) -> None:
        forge.add("<!-- nbci digits 20261121-9 -->\npassed, honestly", SOMEBODY)

        assert keep_one(client(forge), "digits", "20261121-1", "refused").what == "created"
        assert forge.bodies[0].endswith("honestly")

    def test_the_comment_is_found_behind_hundreds_of_others(self, forge: FakeForge) -> None:
        for number in range(250):
            forge.add(f"remark {number}", SOMEBODY)
        keep_one(client(forge), "digits", "20261121-1", "first")
        keep_one(client(forge), "digits", "20261121-2", "second")

        assert len(forge.comments) == 251

    def test_what_passes_is_tried_again(self, forge: FakeForge) -> None:
        waits: list[float] = []
        forge.upsets = [
            (502, {}, b"<html>"),
            (429, {"Retry-After": "7"}, {"message": "slow down"}),
            (503, {}, None),
        ]
        keep_one(client(forge, waits), "digits", "20261121-1", "first")

        assert waits == [1.0, 7.0, 4.0]
        assert len(forge.comments) == 1

    @pytest.mark.parametrize(
        ("upset", "error", "said"),
        [
            (
                (404, {}, {"message": "Not Found"}),
                UsageError,
                "is not there, or the token may not see it: Not Found",
            ),
            ((403, {}, {"message": "no"}), UsageError, "may not comment"),
            (
                (403, {"X-RateLimit-Remaining": "0"}, {"message": "limit"}),
                InfrastructureError,
                "too many requests",
            ),
            ((429, {"Retry-After": "3600"}, {}), InfrastructureError, "too many requests"),
            (
                (301, {"Location": "https://elsewhere.example/x"}, {}),
                UsageError,
                "has moved to elsewhere.example",
            ),
            (
                (422, {}, {"message": "body is too long"}),
                UsageError,
                "refused with 422: body is too long",
            ),
            ((200, {}, b"<html>sign in</html>"), InfrastructureError, "something else than JSON"),
        ],
    )
    def test_refusals_say_what_to_do(
        self,
        forge: FakeForge,
        upset: tuple[int, dict[str, str], object],
        error: type[NbciError],
        said: str,
    ) -> None:
        me = {"id": ME}
        forge.upsets = [(200, {}, me), upset]
        with pytest.raises(error, match=said):
            keep_one(client(forge), "digits", "20261121-1", "first")
        assert forge.comments == {}

    def test_a_token_that_is_not_accepted_is_not_shown(self, forge: FakeForge) -> None:
        with pytest.raises(UsageError, match="the token is not accepted") as refused:
            keep_one(client(forge, token="an-old-token"), "digits", "20261121-1", "first")
        assert "an-old-token" not in str(refused.value)

    def test_a_server_that_is_away(self, forge: FakeForge) -> None:
        waits: list[float] = []
        forge.url = "http://127.0.0.1:9"
        with pytest.raises(InfrastructureError, match="cannot be asked"):
            keep_one(client(forge, waits), "digits", "20261121-1", "first")
        assert waits == [1.0, 2.0, 4.0]

    def test_a_comment_that_may_have_been_made_is_not_made_twice(self, forge: FakeForge) -> None:
        forge.upsets = [(200, {}, {"id": ME}), (200, {}, []), (502, {}, {})]
        with pytest.raises(InfrastructureError, match="it answers 502"):
            keep_one(client(forge), "digits", "20261121-1", "first")
        assert [asked.split()[0] for asked in forge.asked] == ["GET", "GET", "POST"]
