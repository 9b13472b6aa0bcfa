"""Weights: local files, the cache, downloads over a real HTTP server on this machine."""

import errno
import hashlib
import http.client
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import pytest

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors import download, weights
from fidprobe.extractors.weights import WEIGHTS, WeightsEntry, fetch, resolve, status, verify, weights_path

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `cut` bytes at most per answer, `ranges` or not; remembers what was asked for."""

    daemon_threads = True
    cut: int | None = None
    ranges = True
    status = 200
    content = CONTENT
    etag: str | None = None
    heeds_if_range = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []
        self.conditions: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/net.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        content, etag = self.server.content, self.server.etag
        condition = self.headers.get("If-Range")
        self.server.conditions.append(condition)
        if self.server.heeds_if_range and condition is not None and condition != etag:
            wanted = None
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = content[start:]
        self.send_response(206 if wanted and self.server.ranges else 200)
        if wanted and self.server.ranges:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        if etag is not None:
            self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(body if self.server.cut is None else body[: self.server.cut])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the overridden signature
        """Keep test output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def listed(monkeypatch: pytest.MonkeyPatch, entry: WeightsEntry) -> None:
    monkeypatch.setattr(weights, "WEIGHTS", MappingProxyType({entry.name: entry}))


@pytest.fixture
def entry(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WeightsEntry:
    """One entry, `net`, at the local server, with an empty cache."""
    monkeypatch.setenv("FIDPROBE_CACHE", str(tmp_path / "cache"))
    found = WeightsEntry("net", "net.pth", server.url, SHA256, len(CONTENT), "a test")
    listed(monkeypatch, found)
    return found


def test_a_first_use_downloads_verifies_and_caches(entry: WeightsEntry, server: Server) -> None:
    """The second use reads the cache and asks the server for nothing."""
    seen: list[tuple[str, int, int | None]] = []
    assert status("net").state == "absent"
    found = resolve("net", progress=lambda *step: seen.append(step))
    assert found.path == weights_path("net")
    assert found.path.read_bytes() == CONTENT
    assert (found.sha256, found.verified) == (SHA256, True)
    assert seen[-1] == ("downloading net.pth", len(CONTENT), len(CONTENT))
    assert resolve("net") == found == verify("net") == fetch("net")
    assert server.asked == [None]
    assert status("net").state == "ready"
    assert sorted(path.name for path in found.path.parent.iterdir()) == ["net.pth"]


def test_a_broken_download_goes_on_where_it_stopped(entry: WeightsEntry, server: Server) -> None:
    """After more cuts than there are attempts the part is kept, and the next run asks for the rest only."""
    server.cut = 1000
    with pytest.raises(WeightsError, match=r"broke 5 times; run again to go on from byte 5000"):
        resolve("net")
    assert server.asked == [None, *(f"bytes={1000 * i}-" for i in range(1, 5))]
    assert (status("net").state, status("net").size) == ("partial", 5000)
    assert not weights_path("net").exists()
    server.cut, server.asked = None, []
    assert resolve("net").path.read_bytes() == CONTENT
    assert server.asked == ["bytes=5000-"]


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_file_that_changed_between_two_runs_is_not_glued_together(
    entry: WeightsEntry, server: Server, monkeypatch: pytest.MonkeyPatch, heeds_if_range: bool
) -> None:
    """No hash is published: only the server's entity tag tells that the rest belongs to another version."""
    listed(monkeypatch, replace(entry, sha256=None))
    server.etag, server.cut, server.heeds_if_range = '"one"', 1000, heeds_if_range
    with pytest.raises(WeightsError, match="go on from byte 5000"):
        resolve("net")
    assert server.conditions == [None, *['"one"'] * 4]
    server.cut, server.etag, server.content = None, '"two"', CONTENT[::-1]
    found = resolve("net")
    assert found.path.read_bytes() == CONTENT[::-1]
    assert sorted(path.name for path in found.path.parent.iterdir()) == ["net.pth", "net.pth.sha256"]


def test_an_unchanged_file_goes_on_although_it_has_a_tag(entry: WeightsEntry, server: Server) -> None:
    """The tag is kept between runs, with the part."""
    server.etag, server.cut = '"one"', 1000
    with pytest.raises(WeightsError, match="go on from byte 5000"):
        resolve("net")
    server.cut, server.asked = None, []
    assert resolve("net").path.read_bytes() == CONTENT
    assert server.asked == ["bytes=5000-"]


@pytest.mark.parametrize(
    "broken", [ssl.SSLError(1, "record layer failure"), OSError(errno.EHOSTUNREACH, "No route to host")]
)
def test_connections_that_break_in_other_ways_are_taken_up_again(
    entry: WeightsEntry, server: Server, monkeypatch: pytest.MonkeyPatch, broken: OSError
) -> None:
    """TLS and routing errors are OSErrors, as a full disk is; they are not taken for one."""
    original, reads = http.client.HTTPResponse.read, []

    def read(self: http.client.HTTPResponse, amount: int | None = None) -> bytes:
        reads.append(amount)
        if len(reads) == 2:
            raise broken
        return original(self, 1000 if len(reads) == 1 else amount)

    monkeypatch.setattr(http.client.HTTPResponse, "read", read)
    assert resolve("net").path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-"]


def test_a_full_disk_is_not_taken_for_a_broken_connection(
    entry: WeightsEntry, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One attempt, and the folder is named."""

    def full(stream: object, chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_write", full)
    with pytest.raises(WeightsError, match=r"cannot write .*net\.pth\.part: No space left.*; set FIDPROBE_CACHE"):
        resolve("net")
    assert server.asked == [None]


def test_fetching_offline_keeps_the_file_that_is_there(
    entry: WeightsEntry, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with another hash may be all that a user has: it goes when a better one has come, not before."""
    weights_path("net").parent.mkdir(parents=True)
    weights_path("net").write_bytes(b"mine")
    server.status = 503
    with pytest.raises(WeightsError, match="answered 503"):
        fetch("net")
    server.status, server.content = 200, b"wrong"
    with pytest.raises(WeightsError, match="sent a file with SHA-256"):
        fetch("net")
    assert weights_path("net").read_bytes() == b"mine"
    server.content = CONTENT
    assert fetch("net").path.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(entry: WeightsEntry, server: Server) -> None:
    """What was kept is thrown away rather than appended to."""
    server.ranges = False
    part = download.part_path(weights_path("net"))
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 5000)
    assert resolve("net").path.read_bytes() == CONTENT


def test_a_part_that_was_already_whole_is_used(entry: WeightsEntry, server: Server) -> None:
    """The server answers 416 to a range beyond the end."""
    part = download.part_path(weights_path("net"))
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    assert resolve("net").path.read_bytes() == CONTENT
    part.write_bytes(CONTENT + b"too long")
    weights_path("net").unlink()
    assert resolve("net").path.read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_nothing_is_kept(entry: WeightsEntry, server: Server) -> None:
    """The message has the found and the expected hash and the address; the next attempt starts afresh."""
    server.content = CONTENT[:-1] + b"!"
    wrong = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(WeightsError, match=f"{server.url} sent a file with SHA-256 {wrong}, expected {SHA256}"):
        resolve("net")
    assert list(weights_path("net").parent.iterdir()) == []


def test_an_http_error_names_the_address_and_the_place(entry: WeightsEntry, server: Server) -> None:
    """404: the user learns which file to put where."""
    server.status = 404
    with pytest.raises(WeightsError, match=r"answered 404 .*put it at .*net\.pth.*`weights`"):
        resolve("net")
    assert status("net").state == "absent"


def test_offline_gives_one_clear_error(entry: WeightsEntry, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server at the address: the address, the cause, and where to put the file."""
    free = Server()
    free.server_close()
    listed(monkeypatch, replace(entry, url=free.url))
    with pytest.raises(WeightsError) as caught:
        resolve("net")
    message = str(caught.value)
    assert "\n" not in message
    for part in (free.url, "refused", str(weights_path("net")), "`weights`"):
        assert part in message


def test_an_unwritable_cache_is_named(entry: WeightsEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file where the cache folder should be."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FIDPROBE_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cannot write .*FIDPROBE_CACHE"):
        resolve("net")


def test_a_damaged_cache_file_is_named_and_fetch_replaces_it(entry: WeightsEntry) -> None:
    """Loading refuses it; `fetch` is the remedy that the message gives."""
    resolve("net")
    weights_path("net").write_bytes(CONTENT[:-1])
    assert status("net").state == "damaged"
    with pytest.raises(WeightsError, match=rf"damaged .*expected {SHA256}; `fidprobe weights fetch net` replaces it"):
        resolve("net")
    assert fetch("net").path.read_bytes() == CONTENT


def test_verify_of_absent_weights_says_how_to_get_them(entry: WeightsEntry, server: Server) -> None:
    """It does not download by itself."""
    with pytest.raises(WeightsError, match=r"does not exist; run `fidprobe weights fetch net`"):
        verify("net")
    assert server.asked == []


def test_weights_without_a_published_hash_are_held_to_the_first_one_seen(
    entry: WeightsEntry, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They count as unverified, and a later change is noticed."""
    listed(monkeypatch, replace(entry, sha256=None))
    assert resolve("net").verified is False
    record = weights_path("net").with_name("net.pth.sha256")
    assert record.read_text() == f"{SHA256}  net.pth\n"
    weights_path("net").write_bytes(b"other")
    with pytest.raises(WeightsError, match=f"expected {SHA256}"):
        resolve("net")


def test_a_published_prefix_is_compared(entry: WeightsEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishers that put eight digits into the file name."""
    listed(monkeypatch, replace(entry, sha256=SHA256[:8]))
    assert resolve("net").verified is True
    listed(monkeypatch, replace(entry, sha256="00000000"))
    with pytest.raises(WeightsError, match="damaged or not the official file"):
        resolve("net")


def test_two_threads_share_one_download(entry: WeightsEntry, server: Server) -> None:
    """As the ranks of a distributed job do at their start."""
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(resolve("net"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(map(str, found))) == 1
    assert len(server.asked) == 1


def test_a_local_file_must_be_the_official_one(entry: WeightsEntry, tmp_path: Path) -> None:
    """Unless the user says otherwise, which is recorded."""
    mine = tmp_path / "mine.pth"
    mine.write_bytes(CONTENT)
    assert resolve("net", path=mine).verified is True
    mine.write_bytes(b"retrained")
    with pytest.raises(WeightsError, match=rf"mine\.pth: SHA-256 is .*{SHA256} is that of .*`unverified_weights=True`"):
        resolve("net", path=mine)
    accepted = resolve("net", path=mine, unverified=True)
    assert (accepted.verified, accepted.sha256) == (False, hashlib.sha256(b"retrained").hexdigest())
    with pytest.raises(WeightsError, match="no such weights file"):
        resolve("net", path=tmp_path / "absent.pth")


def test_unknown_names_list_the_known_ones() -> None:
    """A typing error in `fidprobe weights fetch`."""
    with pytest.raises(InputError, match=r"'incption'; did you mean 'inception'\? choose from inception, .*swav"):
        status("incption")


def test_the_table_is_well_formed() -> None:
    """Official https addresses, file names without folders, hashes of hex digits."""
    for name, item in WEIGHTS.items():
        assert item.name == name
        assert Path(item.file).name == item.file
        assert item.url is None or item.url.startswith("https://")
        assert item.sha256 is None or set(item.sha256) <= set("0123456789abcdef")


def test_the_embedded_weights_are_in_the_installed_package() -> None:
    """Their pinned hash is right, so the offline default needs nothing else."""
    found = resolve("efficientnet-lite0")
    assert found.verified
    assert status("efficientnet-lite0").size == WEIGHTS["efficientnet-lite0"].size
