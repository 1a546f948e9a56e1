"""A forge on this machine: the comments of one pull request, as GitHub's and GitLab's documentation
describes them.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

ME, SOMEBODY = 7, 8


@dataclass
class FakeForge:
    """`upsets` are answers (status, headers, document) that come before the real ones."""

    kind: str
    token: str = "token-of-the-forge"
    may_ask_who: bool = True
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    upsets: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, body: str, author: int = ME) -> dict[str, Any]:
        number = 100 + len(self.comments)
        who = {"id": author, "type": "User" if self.may_ask_who else "Bot"}
        said = {"id": number, "body": body, "user" if self.kind == "github" else "author": who}
        if self.kind == "github":
            said["html_url"] = f"https://github.com/o/r/pull/5#issuecomment-{number}"
        self.comments[number] = said
        return said

    @property
    def bodies(self) -> list[str]:
        return [said["body"] for said in self.comments.values()]

    def answer(
        self, method: str, path: str, headers: Any, document: Any
    ) -> tuple[int, dict[str, str], Any]:
        self.asked.append(f"{method} {path}")
        if self.upsets:
            return self.upsets.pop(0)
        known = (
            {"Authorization": f"Bearer {self.token}"}
            if self.kind == "github"
            else {"PRIVATE-TOKEN": self.token}
        )
        if any(headers.get(name) != value for name, value in known.items()):
            return 401, {}, {"message": "Bad credentials"}
        parts = urlsplit(path)
        if parts.path == "/user":
            return (
                (200, {}, {"id": ME})
                if self.may_ask_who
                else (403, {}, {"message": "Resource not accessible"})
            )
        everything, one = {
            "github": ("/repos/o/r/issues/5/comments", "/repos/o/r/issues/comments/"),
            "gitlab": (
                "/projects/g%2Fsub%2Fr/merge_requests/5/notes",
                "/projects/g%2Fsub%2Fr/merge_requests/5/notes/",
            ),
        }[self.kind]
        if parts.path == everything:
            if method == "POST":
                return 201, {}, self.add(document["body"])
            query = parse_qs(parts.query)
            size, page = int(query["per_page"][0]), int(query["page"][0])
            return 200, {}, list(self.comments.values())[size * (page - 1) : size * page]
        if (
            parts.path.startswith(one)
            and (number := int(parts.path.removeprefix(one))) in self.comments
        ):
            if method == "DELETE":
                del self.comments[number]
                return 204, {}, None
            if method == ("PATCH" if self.kind == "github" else "PUT"):
                self.comments[number]["body"] = document["body"]
                return 200, {}, self.comments[number]
        return 404, {}, {"message": "Not Found"}


def serve(forge: FakeForge) -> Iterator[FakeForge]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            document = json.loads(self.rfile.read(length)) if length else None
            status, headers, answer = forge.answer(self.command, self.path, self.headers, document)
            content = (
                b""
                if answer is None
                else answer
                if isinstance(answer, bytes)
                else json.dumps(answer).encode()
            )
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    forge.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield forge
    server.shutdown()
    server.server_close()
    thread.join()
