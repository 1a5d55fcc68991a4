"""How many searches per second `cbir serve` answers, by clients on the same machine.

Server and load generator are processes of their own and share its cores. Images of the folder are
the gallery and, in a random order, the uploads.
"""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

from cbir import Gallery, index_images, resolve_spec
from cbir.config import available_cores
from cbir.images import IMAGE_SUFFIXES

CLIENTS = 8
UPLOADS = 400
BY_ID = 4000
MOST_SECONDS = 30.0
"""For each figure."""

Ask = Callable[[http.client.HTTPConnection], None]


def main() -> None:
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(temporary) / "gallery"
        if not path.exists():
            with Gallery.create(path, resolve_spec()[0]) as gallery:
                index_images(folder, gallery)
        with Gallery.open(path) as gallery:
            ids = [record.id for record, _ in gallery.catalog.scan()]
        files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES)
        print(f"{len(ids):,} images, {CLIENTS} clients, {available_cores()} cores")
        print(f"{'':12}{'searches/s':>12}{'median':>12}{'p95':>12}{'refused':>10}")
        draw = random.Random(0)
        with served(path) as (address, pid):
            uploads = [draw.choice(files).read_bytes() for _ in range(UPLOADS)]
            report("by upload", address, pid, [upload_of(data) for data in uploads])
            report("by id", address, pid, [search_of(draw.choice(ids)) for _ in range(BY_ID)])


@contextmanager
def served(gallery: Path) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: host:port and process id."""
    code = "from cbir.cli import main; main()"
    arguments = ["serve", "--gallery", str(gallery), "--port", "0", "--json"]
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield urlsplit(json.loads(server.stdout.readline())["url"]).netloc, server.pid
        finally:
            server.terminate()


def report(what: str, address: str, pid: int, asked: list[Ask]) -> None:
    """Ask everything once by all clients and print how that went."""
    waiting, lock = iter(asked), threading.Lock()
    times: list[float] = []
    refused = 0
    until = time.perf_counter() + MOST_SECONDS

    def client() -> None:
        nonlocal refused
        connection = http.client.HTTPConnection(address)
        while time.perf_counter() < until:
            with lock:
                ask = next(waiting, None)
            if ask is None:
                break
            started = time.perf_counter()
            try:
                ask(connection)
            except BusyError:
                refused += 1
            else:
                times.append(time.perf_counter() - started)
        connection.close()

    started, spent = time.perf_counter(), cpu_seconds(pid)
    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    seconds = time.perf_counter() - started
    p95 = quantiles(times, n=20)[-1]
    print(
        f"{what:12}{len(times) / seconds:>12.0f}{1000 * median(times):>9.1f} ms"
        f"{1000 * p95:>9.1f} ms{refused:>10}"
        + (
            f"   {1000 * (cpu_seconds(pid) - spent) / len(times):.2f} ms of the server's time each"
            if spent
            else ""
        )
    )


class BusyError(Exception):
    """The server has refused a request, as it should when too many wait."""


def upload_of(data: bytes) -> Ask:
    boundary = "cbir-benchmark"
    head = (
        f"--{boundary}\r\nContent-Disposition: form-data; "
        'name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    def ask(connection: http.client.HTTPConnection) -> None:
        connection.request("POST", "/api/v1/search/upload", body, headers)
        check(connection)

    return ask


def search_of(image_id: int) -> Ask:
    def ask(connection: http.client.HTTPConnection) -> None:
        connection.request("GET", f"/api/v1/images/{image_id}/similar")
        check(connection)

    return ask


def check(connection: http.client.HTTPConnection) -> None:
    response = connection.getresponse()
    answer = response.read()
    if response.status == 503:
        raise BusyError
    assert response.status == 200, answer
    assert answer.count(b'"rank"') == 10


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far; 0 where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(stat[11]) + int(stat[12])) / 100


if __name__ == "__main__":
    main()
