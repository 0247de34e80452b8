import io

from ovseg.utils.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_without_a_terminal_only_failures_are_told():
    stream = io.StringIO()
    with Progress(3, stream, shown_failures=1) as progress:
        progress.step()
        progress.fail("a.jpg: empty file")
        progress.fail("b.jpg: empty file")
        progress.fail("c.jpg: empty file")
    assert stream.getvalue().splitlines() == [
        "failed: a.jpg: empty file",
        "further failures are only written to errors.jsonl",
    ]
    assert progress.failures == 3


def test_on_a_terminal_there_is_a_bar_with_failures():
    stream = Terminal()
    with Progress(2, stream) as progress:
        progress.step()
        progress.fail("100%s {} broken")
    assert "2/2" in stream.getvalue()
    assert "failed: 100%s {} broken" in stream.getvalue()
    assert "failed=1" in stream.getvalue()


def test_follows_a_library_that_counts_itself():
    stream = Terminal()
    with Progress(None, stream, unit="word") as progress:
        progress.reach(10, 40)
        progress.reach(40, 40)
    assert "40/40" in stream.getvalue()
    assert "word/s" in stream.getvalue()
