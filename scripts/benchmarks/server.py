"""Searches per second of `cbir serve`, with clients on the same machine.

Server and load generator are processes of their own and share its cores. Images of the folder are
the gallery and, in a random order, the uploads.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

from cbir import Gallery
from cbir.config import available_cores
from scripts.benchmarks.arguments import parser
from scripts.benchmarks.data import image_files, open_gallery
from scripts.benchmarks.measuring import CBIR
from scripts.benchmarks.tables import Table

CLIENTS = 8
UPLOADS = 400
BY_ID = 4000
MOST_SECONDS = 30.0
"""For each figure."""
TABLE = Table({
    "": "<12", "searches/s": "12.0f", "median": "9.1f ms", "p95": "9.1f ms", "refused": "12d",
    "server CPU": "9.2f ms", "clients CPU": "9.2f ms",
})  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    command = parser("server", __doc__)
    add_folder(command)
    options = command.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        path = options.gallery or Path(temporary) / "gallery"
        open_gallery(options.folder, path)
        with Gallery.open(path) as gallery:
            ids = [record.id for record, _ in gallery.catalog.scan()]
        files = image_files(options.folder)
        print(f"{len(ids):,} images, {CLIENTS} clients, {available_cores()} cores")
        TABLE.print_header()
        draw = random.Random(0)
        with served(path) as (address, pid):
            uploads = [draw.choice(files).read_bytes() for _ in range(UPLOADS)]
            report("by upload", address, pid, [upload_of(data) for data in uploads])
            report("by id", address, pid, [search_of(draw.choice(ids)) for _ in range(BY_ID)])


def add_folder(command: argparse.ArgumentParser) -> None:
    """The images that are served, and their gallery."""
    command.add_argument("folder", type=Path, help="of images; they become the gallery")
    command.add_argument("gallery", type=Path, nargs="?", help="theirs, if there is one")


@contextmanager
def served(gallery: Path) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: host:port and process id."""
    command = [*CBIR, "serve", "--gallery", str(gallery), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield urlsplit(json.loads(server.stdout.readline())["url"]).netloc, server.pid
        finally:
            server.terminate()


def report(what: str, address: str, pid: int, asked: list[bytes]) -> None:
    """Send every request once, spread over all clients, and print the results."""
    waiting, lock = iter(asked), threading.Lock()
    times: list[float] = []
    refused = 0
    until = time.perf_counter() + MOST_SECONDS

    def client() -> None:
        nonlocal refused
        with Connection(address) as connection:
            while time.perf_counter() < until:
                with lock:
                    request = next(waiting, None)
                if request is None:
                    break
                started = time.perf_counter()
                status, answer = connection.ask(request)
                if status == 503:
                    refused += 1
                    continue
                times.append(time.perf_counter() - started)
                assert status == 200, answer
                assert answer.count(b'"rank"') == 10

    started, own, spent = time.perf_counter(), time.process_time(), cpu_seconds(pid)
    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(client) for _ in range(CLIENTS)]:
            done.result()
    seconds = time.perf_counter() - started
    p95 = quantiles(times, n=20)[-1]
    each = 1000 / len(times)
    used = (each * (cpu_seconds(pid) - spent), each * (time.process_time() - own))
    TABLE.print_row(
        what, len(times) / seconds, 1000 * median(times), 1000 * p95, refused,
        *(used if spent else (None, None)),
    )  # fmt: skip


class Connection:
    """A minimal HTTP/1.1 client, which takes little processor time from the server."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a request, which is sent as it is."""
        self._socket.sendall(request)
        got, end = b"", 0
        while not end or len(got) < end:
            more = self._socket.recv(65536)
            assert more, "the server has closed the connection"
            got += more
            head, found, _ = got.partition(b"\r\n\r\n")
            if found and not end:
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                end = len(head + found) + int(length)
        return int(head.split(b" ", 2)[1]), got[len(head + found) :]

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def upload_of(data: bytes) -> bytes:
    boundary = "cbir-benchmark"
    head = (
        f"--{boundary}\r\nContent-Disposition: form-data; "
        'name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    kind = f"Content-Type: multipart/form-data; boundary={boundary}\r\n"
    start = f"POST /api/v1/search/upload HTTP/1.1\r\nHost: localhost\r\n{kind}"
    return f"{start}Content-Length: {len(body)}\r\n\r\n".encode() + body


def search_of(image_id: int) -> bytes:
    return f"GET /api/v1/images/{image_id}/similar HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far; 0 where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(stat[11]) + int(stat[12])) / 100
