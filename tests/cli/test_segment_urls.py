"""`ovseg segment https://... --allow-urls`, against a local server (bad input 27)."""

import http.server
import io
import threading

import pytest
from PIL import Image

from ovseg.pictures import fetch

BUFFER = io.BytesIO()
Image.effect_noise((48, 32), 60).convert("RGB").save(BUFFER, "PNG")
PNG = BUFFER.getvalue()
BUFFER = io.BytesIO()
Image.new("RGB", (9, 9), "red").save(
    BUFFER, "GIF", save_all=True, append_images=[Image.new("RGB", (9, 9), "blue")]
)
GIF = BUFFER.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        path = self.path.partition("?")[0]
        if path == "/file.png":
            self.answer(302, b"", Location="file:///etc/passwd")
        elif path == "/page.png":
            self.answer(200, b"<html></html>", **{"Content-Type": "text/html"})
        elif path.endswith((".png", ".gif")) and "gone" not in path:
            self.answer(200, PNG if path.endswith(".png") else GIF)
        else:
            self.answer(404, b"")

    def answer(self, status, data, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_): ...


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def site(server, monkeypatch):
    """The local server's address, with downloads allowed."""
    monkeypatch.delenv("OVSEG_OFFLINE")
    server.asked.clear()
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def public(monkeypatch):
    """Take the local server for a public one."""
    monkeypatch.setattr(fetch, "_require_public", lambda connection: None)


def names(records):
    return [line["name"] for line in records]


@pytest.mark.usefixtures("no_model", "public")
def test_off_by_default(segment, site, server, photos, tmp_path):
    status, _, err = segment(photos, f"{site}/a.png")
    assert status == 2
    assert f"{site}/a.png: " in err
    assert "--allow-urls" in err
    assert server.asked == []
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("public")
def test_an_address_in_a_list_is_recorded_without_the_flag(
    segment, site, server, photos, lines, monkeypatch
):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{photos / 'a.jpg'}\n{site}/a.png\n"))
    assert segment("-")[0] == 3
    assert "--allow-urls" in lines("errors.jsonl")[0]["message"]
    assert server.asked == []


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/x/a.png", "a"),
        ("/x/../../a%2Fb.png#top", "a%2Fb"),
        ("/" + "a" * 300 + ".png", None),
        ("/x/a.png?id=1", "a~d9fc91d4"),
    ],
)
def test_results_are_called_like_the_last_part(segment, site, tmp_path, lines, path, name):
    assert segment(site + path, "--allow-urls")[0] == 0
    (line,) = lines("results.jsonl")
    assert line["name"] == (name or line["name"])
    assert (line["file"], line["width"], line["height"]) == (site + path, 48, 32)
    assert [p.parent for p in tmp_path.rglob("*.label.png")] == [tmp_path / "out"]


@pytest.mark.usefixtures("public")
def test_several_addresses_never_share_a_name(segment, site, photos, lines):
    words = [f"{site}/x/a.png", f"{site}/y/a.png", f"{site}/y/a.png?big", "--allow-urls"]
    assert segment(*words)[0] == 0
    found = names(lines("results.jsonl"))
    assert found[:2] == ["x/a", "y/a"]
    assert len(set(found)) == 3
    assert segment(f"{site}/a.png", photos / "a.jpg", "--allow-urls")[0] == 0
    host = site.removeprefix("http://")
    assert names(lines("results.jsonl"))[3:] == [f"{host}/a", "a"]


@pytest.mark.usefixtures("public")
def test_what_is_done_is_not_fetched_again(segment, site, server, photos, tmp_path, lines):
    for expected in ("1 done;", "0 done, 1 done before;"):
        status, out, _ = segment(f"{site}/a.png", "--allow-urls")
        assert (status, out) == (0, f"{expected} results in out\n")
    assert server.asked == ["/a.png"]
    (tmp_path / "out" / "a.label.png").unlink()
    assert segment(f"{site}/a.png", "--allow-urls")[1].startswith("1 done;")
    assert segment(photos / "b.png")[0] == 0  # the flag is no setting of the folder
    assert names(lines("results.jsonl")) == ["a", "b"]


@pytest.mark.usefixtures("public")
def test_all_frames_of_an_address(segment, site, server, lines):
    for _ in range(2):
        assert segment(f"{site}/waves.gif", "--allow-urls", "--all-frames")[0] == 0
    assert names(lines("results.jsonl")) == ["waves.frame0000", "waves.frame0001"]
    assert server.asked == ["/waves.gif"]


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/gone.png", "answered 404"),
        ("/page.png", "HTML page"),
        ("/file.png", "cannot be fetched|answered 302"),
        ("/big.png", "more than 100 bytes"),
    ],
)
def test_an_address_that_fails(segment, site, photos, lines, monkeypatch, path, words):
    if path == "/big.png":
        monkeypatch.setitem(fetch.fetch.__kwdefaults__, "max_bytes", 100)
    status, out, err = segment(site + path, photos, "--allow-urls")
    assert status == 3
    assert "3 done, 1 failed" in out
    (line,) = lines("errors.jsonl")
    assert (line["file"], line["error"]) == (site + path, "InputError")
    assert any(word in line["message"] for word in words.split("|"))
    status, _, err = segment(site + path, "--allow-urls", "--overwrite")
    assert status == 1
    assert err.count(site + path) == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("path", ["/a.png", "//[/a.png"])
def test_private_and_broken_addresses(segment, site, server, lines, path):
    address = site + path if path == "/a.png" else f"http:{path}"
    status, _, err = segment(address, "--allow-urls")
    assert status == 1
    assert "cannot be fetched" in err
    assert ("is not a public address" in err) == (path == "/a.png")
    assert server.asked == []
    assert lines("errors.jsonl")[0]["error"] == "InputError"


@pytest.mark.parametrize("address", ["ftp://a.org/a.png", "file:///etc/passwd"])
def test_only_http(segment, site, address):
    status, _, err = segment(address, "--allow-urls")
    assert status == 1
    assert "only http and https" in err
