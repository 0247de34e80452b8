"""Fetch a picture from the web: http(s) only, public addresses only, bounded size and time."""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import time
import urllib.error
import urllib.request
from typing import Any

from ovseg.errors import InputError

__all__ = ["fetch"]

MAX_BYTES = 64 * 2**20
TIMEOUT = 20.0


def fetch(url: str, *, max_bytes: int = MAX_BYTES, timeout: float = TIMEOUT) -> bytes:
    """Fetch the bytes behind an http(s) address.

    Each connection, also those after a redirect, must end at a public address; proxies from the
    environment are not used, because behind one that cannot be checked.

    Args:
        url: the address.
        max_bytes: largest answer that is taken.
        timeout: seconds for everything together.

    Returns:
        The answer's body.

    Raises:
        InputError: another scheme, a private address, an error answer, an HTML page, too large,
            too slow, or `OVSEG_OFFLINE=1`.
    """
    if os.environ.get("OVSEG_OFFLINE") == "1":
        raise InputError("not fetched because OVSEG_OFFLINE=1", where=url, fix="use a local file")
    if not url.lower().startswith(("http://", "https://")):
        raise InputError(
            "only http and https addresses are fetched", where=url, fix="use a local file"
        )
    deadline = time.monotonic() + timeout
    try:
        with _opener().open(url, timeout=timeout) as answer:
            if "html" in (answer.headers.get("Content-Type") or ""):
                raise InputError("the answer is an HTML page", where=url, expected="a picture")
            return _read(answer, url, max_bytes, deadline)
    except urllib.error.HTTPError as error:
        raise InputError(
            f"the server answered {error.code} {error.reason}", where=url, fix="check the address"
        ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"cannot be fetched ({reason})", where=url, fix="check the address or use a local file"
        ) from error


def _read(answer: Any, url: str, max_bytes: int, deadline: float) -> bytes:
    parts, size = [], 0
    while part := answer.read1(2**16):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise InputError(
                f"more than {max_bytes:,} bytes", where=url, fix="download it and check it first"
            )
        if time.monotonic() > deadline:
            raise InputError("took too long to arrive", where=url, fix="download it first")
    return b"".join(parts)


def _opener() -> urllib.request.OpenerDirector:
    """Handlers for http and https alone: `file:`, `ftp:` and `data:` redirects find no handler."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        _PublicHTTP(),
        _PublicHTTPS(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Connection(http.client.HTTPConnection):
    """Checks where it really ended, after the name was resolved and before anything is sent."""

    def connect(self) -> None:
        super().connect()
        _require_public(self.sock)


class _SecureConnection(http.client.HTTPSConnection, _Connection):
    """`HTTPSConnection.connect` calls `_Connection.connect` before the TLS handshake."""


class _PublicHTTP(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Connection, req)


class _PublicHTTPS(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_SecureConnection, req)


def _require_public(connection: socket.socket) -> None:
    address = ipaddress.ip_address(connection.getpeername()[0].split("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if not (mapped or address).is_global:
        connection.close()
        raise OSError(f"{address} is not a public address")
