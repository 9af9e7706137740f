"""A real https server that behaves badly: nothing but the whole file, from the one who was asked, is kept."""

import http.server
import shutil
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.device.fetch import FetchError, fetch
from tests.publish.test_connection import certificate

BODY = bytes(range(256)) * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    """/good, /cut (promises more than it sends), /elsewhere (redirects), /endless (no length)."""

    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
        elif self.path == "/missing":
            self.send_error(404)
        else:
            self.send_response(200)
            if self.path != "/endless":
                self.send_header("Content-Length", str(len(BODY) * (2 if self.path == "/cut" else 1)))
            self.end_headers()
            self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    certificate(folder, "ca")
    certificate(folder, "localhost", "ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "localhost.crt", folder / "localhost.key")
    httpd = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    httpd.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that turn away
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"https://localhost:{httpd.server_address[1]}", folder / "ca.crt"
    httpd.shutdown()
    httpd.server_close()


def test_a_file_comes_whole(server: tuple[str, Path], tmp_path: Path) -> None:
    url, ca = server
    fetch(f"{url}/good", tmp_path / "x", largest=len(BODY), limit_s=30, ca_file=ca)
    assert (tmp_path / "x").read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "largest", "limit_s", "words"),
    [
        ("/good", len(BODY) - 1, 30, "larger than 255999 bytes; refused"),
        ("/endless", 1000, 30, "larger than 1000 bytes; refused"),
        ("/good", len(BODY), -1, "took too long; given up"),
        ("/cut", 1 << 30, 30, "cut short after 256000 bytes"),
        ("/elsewhere", 1 << 30, 30, "cannot be fetched (Found)"),
        ("/missing", 1 << 30, 30, "cannot be fetched (Not Found)"),
    ],
)
def test_nothing_is_kept_of_what_is_not(
    server: tuple[str, Path], tmp_path: Path, path: str, largest: int, limit_s: float, words: str
) -> None:
    url, ca = server
    with pytest.raises(FetchError) as error:
        fetch(url + path, tmp_path / "x", largest=largest, limit_s=limit_s, ca_file=ca)
    assert str(error.value) == f"localhost{path}: {words}"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_nobody_vouches_for_is_not_asked(server: tuple[str, Path], tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"^localhost/good: cannot be fetched \(.*certificate verify failed"):
        fetch(f"{server[0]}/good", tmp_path / "x", largest=1 << 20, limit_s=30)


@pytest.mark.parametrize("url", ["http://localhost/x", "file:///etc/passwd", "ftp://localhost/x", "x"])
def test_other_schemes_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="only https addresses are fetched"):
        fetch(url, tmp_path / "x", largest=1, limit_s=1)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"cannot be fetched \(.*refused"):
        fetch("https://127.0.0.1:9/x", tmp_path / "x", largest=1, limit_s=1)
