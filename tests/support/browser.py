"""Pages as a reviewer gets them: in Chromium, from a server with exactly the headers that Jenkins
sends.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.console import ROOT
from tests.support.tools import reason_to_leave_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Page

POLICY: Final = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"
WIDTHS: Final = (360, 800, 1440)
SCREENSHOTS: Final = ROOT / "build" / "screenshots"
# What Jenkins serves these as; the rest is application/octet-stream, which the sandbox does not let
# a reader open.
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".json": "application/json",
    ".txt": "text/plain",
}


class _Jenkins(SimpleHTTPRequestHandler):
    policy: str | None = POLICY

    def guess_type(self, path: Any) -> str:
        name = str(path)
        return _TYPES.get(name[name.rfind(".") :], "application/octet-stream")

    def send_head(self) -> Any:
        if self.path == "/favicon.ico":  # browsers ask for it by themselves
            self.send_response(204)
            self.end_headers()
            return None
        return super().send_head()

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.policy:
            self.send_header("Content-Security-Policy", self.policy)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class _Plain(_Jenkins):
    policy = None


@dataclass
class Reading:
    """What came of showing a page: what was asked for, and what the browser complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Dialog) -> None:
        """Note that a script asked something."""
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def broken_images(self) -> list[str]:
        """The addresses of images that are not shown."""
        broken: list[str] = self.page.evaluate(
            """async () => {
                const loaded = image => new Promise(resolve => {
                    // a lazy one, or one in a fold, would wait for its reader
                    image.loading = 'eager';
                    if (image.complete) resolve();
                    else image.onload = image.onerror = resolve;
                });
                await Promise.all([...document.images].map(loaded));
                const broken = [...document.images].filter(image => !image.naturalWidth);
                return broken.map(image => image.src);
            }"""
        )
        return broken

    def overflowing(self) -> list[str]:
        """What is wider than the window, outside of boxes that scroll by themselves."""
        found: list[str] = self.page.evaluate(
            """() => {
            const root = document.documentElement;
            return root.scrollWidth <= root.clientWidth ? [] :
            [...document.querySelectorAll('body *')]
                .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1)
                .filter(e => !e.parentElement.closest('.scroll, pre, summary'))
                .map(e => e.outerHTML.slice(0, 120));
            }"""
        )
        return found


class Reader:
    """Serves folders and shows their pages."""

    def __init__(self, browser: Browser, serve: Callable[[Path, type[_Jenkins]], str]) -> None:
        self._browser = browser
        self._serve = serve

    def read(
        self, folder: Path, path: str = "index.html", *, width: int = 1440, dark: bool = False
    ) -> Reading:
        """Show a page of the folder as Jenkins serves it."""
        return self._show(self._serve(folder, _Jenkins), path, width, dark)

    def read_plain(
        self, folder: Path, path: str = "index.html", *, width: int = 1440, dark: bool = False
    ) -> Reading:
        """Show a page without the policy, so that programs can look at it, such as axe."""
        return self._show(self._serve(folder, _Plain), path, width, dark)

    def read_address(
        self, address: str, *, headers: Mapping[str, str], width: int = 1440, dark: bool = False
    ) -> Reading:
        """Show a page of another server, with these headers in each request."""
        server, _, path = address.rpartition("/")
        return self._show(server, path, width, dark, headers)

    def serious_faults(self, reading: Reading) -> list[str]:
        """What axe-core finds that keeps people from reading the page."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(reading.page).response["violations"]
        return [
            f"{violation['id']}: {violation['help']}: {node['html'][:200]}"
            for violation in found
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

    def _show(
        self,
        address: str,
        path: str,
        width: int,
        dark: bool,
        headers: Mapping[str, str] | None = None,
    ) -> Reading:
        page = self._browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            extra_http_headers=dict(headers or {}),
        )
        reading = Reading(page)
        page.on("request", lambda request: reading.requests.append(request.url))
        page.on("console", lambda message: reading.complaints.append(message.text))
        page.on("pageerror", lambda error: reading.complaints.append(str(error)))
        page.on("dialog", reading.dismiss)
        page.on(
            "download", lambda download: reading.complaints.append(f"a download: {download.url}")
        )
        page.goto(f"{address}/{path}")
        return reading


@pytest.fixture(scope="module")
def _browser(_no_strays: None) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    assert reason_to_leave_out("chromium") is None, (
        "the test is not marked as one that needs chromium"
    )
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def reader(_browser: Browser) -> Iterator[Reader]:
    """Chromium, reading pages as Jenkins serves them."""
    servers: dict[tuple[Path, type[_Jenkins]], tuple[ThreadingHTTPServer, threading.Thread]] = {}

    def serve(folder: Path, handler: type[_Jenkins]) -> str:
        if (folder, handler) in servers:
            return f"http://127.0.0.1:{servers[folder, handler][0].server_port}"
        server = ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
        )
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers[folder, handler] = server, thread
        return f"http://127.0.0.1:{server.server_port}"

    try:
        yield Reader(_browser, serve)
    finally:
        for context in _browser.contexts:
            context.close()
        for server, thread in servers.values():
            server.shutdown()
            server.server_close()
            thread.join()
