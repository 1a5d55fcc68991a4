"""A web server of this machine that serves what a test says, and fails when it should."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cbir.sources import http


@dataclass
class Web:
    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """By path, as `/a.png`."""
    scripts: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    """Statuses and headers of the next answers of a path, before it is served."""
    truncated: Counter[str] = field(default_factory=Counter)
    """How often a path's body breaks off in the middle."""
    validators: tuple[str, ...] = ("etag",)
    """Which of `etag` and `last-modified` the server sends."""
    conditional: bool = True
    """Whether If-None-Match and If-Modified-Since are heeded."""
    sent: list[str] = field(default_factory=list)
    """Paths whose whole body was sent."""
    modified: str = "Mon, 23 Nov 2026 08:00:00 GMT"
    heads: bool = True
    """Whether HEAD is allowed."""
    announced: bool = True
    """Whether a body's length is said before it is sent."""
    delay_s: float = 0.0
    drip_s: float = 0.0
    """Before every byte of a body."""
    requests: list[str] = field(default_factory=list)
    """`GET /a.png`, in the order of their arrival."""
    times: list[float] = field(default_factory=list)
    busiest: int = 0
    """How many were answered at once."""
    _busy: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, method: str) -> int:
        return sum(request.startswith(method) for request in self.requests)


@contextmanager
def serve() -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            with web._lock:
                web._busy += 1
                web.busiest = max(web.busiest, web._busy)
                web.requests.append(f"{self.command} {self.path}")
                web.times.append(time.monotonic())
                script = web.scripts.get(self.path)
                scripted = script.pop(0) if script and self.command == "GET" else None
            try:
                time.sleep(web.delay_s)
                self._answer(scripted)
            except OSError:  # the client has seen enough
                self.close_connection = True
            finally:
                with web._lock:
                    web._busy -= 1

        def _answer(self, scripted: tuple[int, dict[str, str]] | None) -> None:
            data = web.files.get(self.path)
            status, headers = scripted or (404 if data is None else 200, {})
            if self.command == "HEAD" and not web.heads:
                status = 405
            if status == 200 and data is not None and self._not_modified(data):
                status = 304
            body = data if status == 200 and data is not None else b""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status in (200, 304) and data is not None:
                if "etag" in web.validators:
                    self.send_header("ETag", f'"{md5(data).hexdigest()}"')
                if "last-modified" in web.validators:
                    self.send_header("Last-Modified", web.modified)
            if status == 304:
                pass
            elif web.announced:
                self.send_header("Content-Length", str(len(body)))
            else:
                self.close_connection = True
            self.end_headers()
            if self.command == "HEAD":
                return
            if web.truncated[self.path] > 0:
                web.truncated[self.path] -= 1
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            elif web.drip_s:
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(web.drip_s)
            elif status == 200:
                self.wfile.write(body)
                web.sent.append(self.path)

        def _not_modified(self, data: bytes) -> bool:
            etag, since = self.headers["If-None-Match"], self.headers["If-Modified-Since"]
            if not web.conditional or self.command == "HEAD":
                return False
            if etag is not None and "etag" in web.validators:
                return bool(etag == f'"{md5(data).hexdigest()}"')
            if since is None or etag is not None or "last-modified" not in web.validators:
                return False
            return bool(parsedate_to_datetime(web.modified) <= parsedate_to_datetime(since))

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        for client in http._clients:
            client.close()
        http._clients.clear()
        server.shutdown()
        server.server_close()
        thread.join()
