"""Downloads a URL for a caller, without reaching hosts that only this machine can reach.

A host name is resolved once, all of its addresses are checked, and the connection is made to an
address that was checked: a name server cannot answer differently in between (DNS rebinding). The
same holds for every redirect.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from socket import getaddrinfo
from urllib.parse import urljoin, urlsplit

from cbir.server.problem import Problem

__all__ = ["fetch", "is_public"]

REDIRECTS = 3
TIMEOUT_S = 10.0
"""For the whole download, redirects included."""
PORTS = {"http": 80, "https": 443}
CHUNK = 65_536

_TRANSLATED = tuple(
    ipaddress.ip_network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)
"""IPv6 networks whose addresses embed IPv4 addresses, which may be private."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open Internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _TRANSLATED):
            return False
    return ip.is_global and not (
        ip.is_private
        or ip.is_loopback
        or ip.is_link_local
        or ip.is_multicast
        or ip.is_unspecified
        or ip.is_reserved
    )


def fetch(url: str, *, limit: int) -> bytes:
    """Download at most `limit` bytes. Raises Problem: 413 for more, 422 for any other reason."""
    deadline = time.monotonic() + TIMEOUT_S
    for _ in range(REDIRECTS + 1):
        connection, target = _connect(url, deadline)
        # A host that sends a byte every few seconds never triggers the socket's own timeout.
        watchdog = threading.Timer(max(0.1, deadline - time.monotonic()), connection.hang_up)
        watchdog.start()
        try:
            connection.request("GET", target, headers={"User-Agent": "cbir", "Accept": "image/*"})
            response = connection.getresponse()
            if response.status in (301, 302, 303, 307, 308):
                url = urljoin(url, response.getheader("Location", ""))
                continue
            if response.status != 200:
                raise Problem(422, f"the URL answers {response.status}; it must answer 200")
            return _read(response, limit, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Problem(422, f"the URL cannot be fetched: {error or 'no answer'}") from error
        finally:
            watchdog.cancel()
            connection.close()
    raise Problem(422, f"the URL redirects more than {REDIRECTS} times")


def _connect(url: str, deadline: float) -> tuple[_Connection, str]:
    """A connection to a checked address, and the path to request."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise Problem(422, f"not a URL: {error}") from error
    host = parts.hostname
    if parts.scheme not in PORTS or not host or parts.username is not None:
        raise Problem(422, "a URL must be http:// or https:// and hold no user name")
    if port != PORTS[parts.scheme]:
        raise Problem(422, f"port {port} is not allowed; only {PORTS[parts.scheme]} is")
    address = _resolve(host, port)
    timeout = max(0.1, deadline - time.monotonic())
    kind = _TlsConnection if parts.scheme == "https" else _Connection
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        return kind(host, port, address, timeout), target
    except http.client.InvalidURL as error:
        raise Problem(422, f"not a URL: {error}") from error


def _resolve(host: str, port: int) -> str:
    """The address to connect to. Raises Problem when any address of the host is not public."""
    try:
        entries = getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Problem(422, f"there is no host {host!r}") from error
    addresses = [str(entry[4][0]) for entry in entries]
    if not addresses or not all(is_public(address) for address in addresses):
        raise Problem(422, f"{host} is not an address of the open Internet; give a public one")
    return addresses[0]


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked; the host name is not resolved again."""

    def __init__(self, host: str, port: int, address: str, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)

    def hang_up(self) -> None:
        """Abort any pending read or write, from another thread."""
        with contextlib.suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)


class _TlsConnection(_Connection):
    def connect(self) -> None:
        super().connect()
        context = ssl.create_default_context()
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def _read(response: http.client.HTTPResponse, limit: int, deadline: float) -> bytes:
    data = bytearray()
    while chunk := response.read1(CHUNK):
        data += chunk
        if len(data) > limit:
            raise Problem(413, f"the URL holds more than {limit / 1e6:g} MB")
        if time.monotonic() > deadline:
            raise Problem(422, f"the URL takes longer than {TIMEOUT_S:.0f} s")
    return bytes(data)
