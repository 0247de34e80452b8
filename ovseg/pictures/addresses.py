"""Addresses of pictures in the web: how they are told from files, and what results are called."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable

__all__ = ["address_name", "is_address", "shared_address"]

_HTTP = re.compile(r"https?://", re.IGNORECASE)


def is_address(source: str | os.PathLike[str]) -> bool:
    """Tell whether a source is an http(s) address.

    Example:
        >>> is_address("https://example.org/a.jpg"), is_address("photos/a.jpg")
        (True, False)
    """
    return _HTTP.match(os.fspath(source)) is not None


def address_name(url: str) -> str:
    """Return host and path of an address as a relative name that cannot lead out of a folder.

    A query gives a hash, since it may tell pictures apart; the fragment and the user are dropped.

    Example:
        >>> address_name("https://example.org/x/../a.jpg#top")
        'example.org/x/a.jpg'
        >>> address_name("https://example.org/a.jpg?id=1")
        'example.org/a~d9fc91d4.jpg'
    """
    address, _, query = url.partition("://")[2].partition("#")[0].partition("?")
    host, _, path = address.partition("/")
    stem, extension = os.path.splitext(path)
    mark = f"~{hashlib.sha256(os.fsencode(query)).hexdigest()[:8]}" if query else ""
    name = f"{host.rpartition('@')[2].lower()}/{stem}{mark}{extension}"
    return "/".join(part for part in name.split("/") if part not in ("", os.curdir, os.pardir))


def shared_address(sources: Iterable[str]) -> str:
    """Return the host and folder that addresses share, which their names need not repeat.

    Beside local files nothing is shared: their names might meet.

    Example:
        >>> shared_address(["https://example.org/x/a.jpg", "https://example.org/x/y/b.jpg"])
        'example.org/x'
        >>> shared_address(["https://example.org/x/a.jpg", "a.jpg"])
        ''
    """
    shared: str | None = None
    for source in sources:
        if not is_address(source):
            return ""
        folder = os.path.dirname(address_name(source))
        shared = folder if shared is None else os.path.commonpath((shared, folder))
    return shared or ""
