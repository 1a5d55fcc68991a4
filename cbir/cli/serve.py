"""`cbir serve`: serves the HTTP API and the web page of one gallery."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from cbir.cli.options import (
    DEFAULT_GALLERY,
    DeviceOption,
    GalleryOption,
    JsonOption,
    PrecisionOption,
    RuntimeOption,
)

if TYPE_CHECKING:
    import socket

SHUTDOWN_S = 30
"""Seconds that running requests may take to finish when the server is stopped."""
BACKLOG = 2048
SWITCH_S = 0.0002
"""Seconds that a thread may hold the interpreter lock while others wait; Python's default: 5 ms."""


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    gallery: GalleryOption = DEFAULT_GALLERY,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 is any free one.")] = 8000,
    token: Annotated[
        Optional[str],  # noqa: UP045  typer evaluates the annotation on Python 3.10
        typer.Option(
            envvar="CBIR_TOKEN",
            help="Secret that callers must send; safer as an environment variable.",
            metavar="TEXT",
        ),
    ] = None,
    public_reads: Annotated[
        bool, typer.Option("--public-reads", help="With a token: reading needs no token.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow everybody to read and write, without a token.")
    ] = False,
    allow_host: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="Host name under which the server is reached; may be repeated.", metavar="NAME"
        ),
    ] = None,
    cors_origin: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Origin whose pages may call the API; may be repeated.", metavar="URL"),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(
            help="Path below which a proxy serves it, as /search; the proxy may strip or keep it.",
            metavar="PATH",
        ),
    ] = "",
    allow_fetch: Annotated[
        bool, typer.Option("--allow-fetch", help="Accept URLs as queries, and download them.")
    ] = False,
    max_upload: Annotated[
        int, typer.Option(min=1, help="Largest upload in megabytes.", metavar="MB")
    ] = 32,
    waiting: Annotated[
        int,
        typer.Option(
            min=1, help="Number of requests that may wait; more are refused.", metavar="N"
        ),
    ] = 64,
    device: DeviceOption = "auto",
    runtime: RuntimeOption = "auto",
    precision: PrecisionOption = "auto",
    json: JsonOption = False,
) -> None:
    """Serve the HTTP API and the web page of a gallery."""
    # Requests run in parallel: more threads within each would only slow one another down.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from cbir.server import Settings, create_app
    from cbir.server.root_path import checked_root_path
    from cbir.server.settings import check_exposure

    settings = Settings(
        gallery=gallery,
        token=token,
        public_reads=public_reads,
        hosts=tuple(allow_host or ()) if host == "localhost" else (*(allow_host or ()), host),
        cors_origins=tuple(cors_origin or ()),
        root_path=checked_root_path(root_path),
        allow_fetch=allow_fetch,
        max_upload=max_upload * 1_000_000,
        waiting=waiting,
        device=device,
        runtime=runtime,
        precision=precision,
    )
    check_exposure(host, settings, insecure=insecure)
    application = create_app(settings)
    with _listen(host, port) as socket:
        application.state.open()
        import uvicorn

        # Objects made so far live until the end: the garbage collector need not visit them again.
        gc.freeze()
        # Threads pass the interpreter lock on several times per request: 7 % more requests/s.
        sys.setswitchinterval(SWITCH_S)
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        # The socket listens already: clients that connect now are answered in a moment.
        count = application.state.service.gallery.count()
        address, name = socket.getsockname(), gallery.absolute().name
        _announce(address, name, count, settings.root_path, json=json)
        # When it has ended, uvicorn sends itself the signal that ended it.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[socket])


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises CbirError where the address cannot be used."""
    import socket

    from cbir.errors import CbirError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror or "no such address"
        raise CbirError(
            f"{host}:{port} cannot be listened on: {reason}; choose another --port or --host"
        ) from error


def _announce(
    address: tuple[str, int], name: str, count: int, root_path: str, *, json: bool
) -> None:
    host, port = address[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{root_path}/"
    if json:
        import json as encoder

        print(encoder.dumps({"url": url, "gallery": name, "images": count}), flush=True)
    else:
        print(f"serving {name}: {count:,} images at {url} (Ctrl-C ends)", flush=True)
