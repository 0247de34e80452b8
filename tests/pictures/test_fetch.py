"""Pictures from the web, against a local server (bad input 27)."""

from __future__ import annotations

import http.server
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from ovseg.errors import InputError
from ovseg.pictures import ReadOptions, fetch, read_picture

BUFFER = io.BytesIO()
Image.new("RGB", (4, 3), "red").save(BUFFER, "PNG")
PNG = BUFFER.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        redirects = {
            "/moved": "/a.png",
            "/file": "file:///etc/passwd",
            "/ftp": "ftp://127.0.0.1/a.png",
            "/circle": "/circle",
        }
        if self.path in redirects:
            self.send_response(302)
            self.send_header("Location", redirects[self.path])
            self.end_headers()
        elif self.path == "/page":
            self.answer(b"<html></html>", "text/html; charset=utf-8")
        elif self.path == "/a.png":
            self.answer(PNG, "image/png")
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(20):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.02)
        else:
            self.send_error(404)

    def answer(self, data, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args): ...


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def public(monkeypatch):
    """Take the local server for a public one."""
    monkeypatch.delenv("OVSEG_OFFLINE", raising=False)
    monkeypatch.setattr(fetch, "_require_public", lambda connection: None)


def test_addresses_are_off_by_default(server):
    with pytest.raises(InputError, match="not fetched unless asked for"):
        read_picture(f"{server}/a.png")


@pytest.mark.parametrize("path", ["/a.png", "/moved"])
def test_a_picture_is_fetched(server, public, path):
    picture = read_picture(server + path, ReadOptions(allow_urls=True))
    np.testing.assert_array_equal(picture.pixels, np.full((3, 4, 3), (255, 0, 0)))
    assert picture.source == server + path


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nothing", "answered 404"),
        ("/page", "HTML page"),
        ("/file", "answered 302|cannot be fetched"),
        ("/ftp", "cannot be fetched"),
        ("/circle", "answered 302"),
    ],
)
def test_bad_answers(server, public, path, message):
    with pytest.raises(InputError, match=message):
        fetch.fetch(server + path)


def test_size_limit(server, public):
    with pytest.raises(InputError, match="more than 10 bytes"):
        fetch.fetch(f"{server}/a.png", max_bytes=10)


def test_time_limit_counts_everything(server, public):
    with pytest.raises(InputError, match="took too long"):
        fetch.fetch(f"{server}/slow", timeout=0.1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_private_addresses_are_refused(server, host, monkeypatch):
    monkeypatch.delenv("OVSEG_OFFLINE", raising=False)
    with pytest.raises(InputError, match="is not a public address"):
        fetch.fetch(server.replace("127.0.0.1", host) + "/a.png")


def test_redirect_into_a_private_network_is_refused(server, monkeypatch):
    monkeypatch.delenv("OVSEG_OFFLINE", raising=False)
    calls = []
    check = fetch._require_public

    def only_the_first_is_public(connection):
        calls.append(connection)
        if len(calls) > 1:
            check(connection)

    monkeypatch.setattr(fetch, "_require_public", only_the_first_is_public)
    with pytest.raises(InputError, match="is not a public address"):
        fetch.fetch(f"{server}/moved")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.org/a.png", "data://x"])
def test_other_schemes_are_refused(url, monkeypatch):
    monkeypatch.delenv("OVSEG_OFFLINE", raising=False)
    with pytest.raises(InputError, match="only http and https"):
        read_picture(url, ReadOptions(allow_urls=True))


def test_offline_opens_no_socket(server, monkeypatch):
    monkeypatch.setenv("OVSEG_OFFLINE", "1")
    monkeypatch.setattr("socket.create_connection", None)
    with pytest.raises(InputError, match="OVSEG_OFFLINE=1"):
        fetch.fetch(f"{server}/a.png")


def test_nobody_there(public):
    with pytest.raises(InputError, match="cannot be fetched"):
        fetch.fetch("http://127.0.0.1:9/a.png", timeout=1)
