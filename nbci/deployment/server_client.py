"""Ask a server of the Open Inference Protocol how it is, and what it serves."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from nbci.deployment.target import TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 5.0


class Client:
    """Asks the server at an address, with the token of the environment where there is one."""

    def __init__(self, address: str, environ: Mapping[str, str]) -> None:
        self._address = urlsplit(address)
        self._token = environ.get(TOKEN)

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = _SECONDS,
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """The status of the answer, its body, and its headers in lower case.

        OSError where nobody answers in time, or not by HTTP.
        """
        kind: type[http.client.HTTPConnection] = http.client.HTTPConnection
        if self._address.scheme == "https":
            kind = http.client.HTTPSConnection
        # A connection each time: a server that ends lets the ones that are open go on.
        connection = kind(self._address.hostname or "", self._address.port, timeout=seconds)
        sent = dict(headers or {})
        # Asked without one, a server that wants it would seem to be ill.
        if self._token:
            sent["authorization"] = f"Bearer {self._token}"
        try:
            method = "GET" if body is None else "POST"
            connection.request(method, f"{self._address.path.rstrip('/')}{path}", body, sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, response.read(), found
        except http.client.HTTPException as error:
            raise OSError(f"no answer of HTTP: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            status, _, _ = self.ask("/v2/health/ready")
        except OSError:
            return False
        return status == http.client.OK

    def version(self, name: str) -> str | None:
        """The version of the model that it serves; None where it says none."""
        try:
            status, body, _ = self.ask(f"/v2/models/{quote(name)}")
        except OSError:
            return None
        if status != http.client.OK:
            return None
        return _first_version(body)


def _first_version(body: bytes) -> str | None:
    # Whatever listens at the port may answer: it need not be a server of models.
    try:
        document: Any = json.loads(body)
        return str(document["versions"][0])
    except (ValueError, KeyError, IndexError, TypeError):
        return None
