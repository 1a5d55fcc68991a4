"""A server in this process, asked over a real socket."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

Serve = Callable[..., httpx.Client]
"""Serves the shop, with further settings as arguments."""


@contextmanager
def running(app: FastAPI) -> Iterator[httpx.Client]:
    """Serve an application on a free port; yields a client whose base is its address."""
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def names(answer: Any) -> list[str]:
    """The hits of an answer, without their suffix."""
    if isinstance(answer, httpx.Response):
        assert answer.status_code == 200, answer.text
        return [Path(hit["image"]["name"]).stem for hit in answer.json()["hits"]]
    return [Path(hit.image.name).stem for hit in answer.hits]


def tree(node: Any) -> str:
    """A filter for the query of a URL."""
    return json.dumps(node)
