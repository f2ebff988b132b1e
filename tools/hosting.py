"""The built book on a small server that does what GitHub Pages does: gzip, caching, a 404 page."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Kinds of files that are sent compressed; pictures and fonts are compressed already.
COMPRESSED = re.compile(r"text/|application/(javascript|json|xml|ld\+json)|image/svg")


class Handler(BaseHTTPRequestHandler):
    """Sends the files of one folder below one path, compressed, to be kept for ten minutes."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *rest: object, folder: Path, base: str) -> None:
        self.folder, self.base = folder.resolve(), base
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Send a file, or the page that says that there is none."""
        status, path = HTTPStatus.OK, self._file()
        if path is None:
            status, path = HTTPStatus.NOT_FOUND, self.folder / "404.html"
        body = path.read_bytes() if path.is_file() else b""
        kind = guess_type(path)[0] or "application/octet-stream"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "max-age=600")
        if COMPRESSED.match(kind) and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 6, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self) -> Path | None:
        """Return the file that an address names, if it lies in the folder."""
        asked = unquote(urlsplit(self.path).path)
        if not asked.startswith(self.base):
            return None
        path = (self.folder / asked.removeprefix(self.base)).resolve()
        if path.is_dir():
            path /= "index.html"
        return path if path.is_file() and path.is_relative_to(self.folder) else None

    def log_message(self, *told: object) -> None:
        """Say nothing on stderr."""


def base_path(folder: Path) -> str:
    """Return the path below which the book is published, as its front page says: ``/name/``."""
    found = re.search(r'rel="canonical" href="([^"]+)"', _text(folder / "intro.html"))
    return urlsplit(found[1]).path.removesuffix("intro.html") if found else "/"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@contextmanager
def hosted(folder: Path, base: str | None = None) -> Iterator[str]:
    """Serve a built book while the block runs.

    Parameters
    ----------
    folder : Path
        The built book.
    base : str, optional
        The path below which it is served; that of its own addresses unless given.

    Yields
    ------
    str
        Its address, which ends in a slash.
    """
    base = base_path(folder) if base is None else base
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, folder=folder, base=base)) as on:
        threading.Thread(target=on.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{on.server_port}{base}"
        finally:
            on.shutdown()
