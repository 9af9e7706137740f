"""A real https server of a folder's files, with an authority of its own, in a thread."""

from __future__ import annotations

import functools
import http.server
import shutil
import ssl
import threading
from pathlib import Path

import pytest

from tests.publish.test_connection import certificate


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Server:
    """Serves `folder` on `url`; `ca` is whom to trust."""

    def __init__(self, tls: Path, folder: Path) -> None:
        if not shutil.which("openssl"):
            pytest.skip("openssl is not installed")
        certificate(tls, "ca")
        certificate(tls, "localhost", "ca")
        self.folder, self.ca = folder, tls / "ca.crt"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "localhost.crt", tls / "localhost.key")
        handler = functools.partial(_Files, directory=str(folder))
        self._httpd = http.server.ThreadingHTTPServer(("localhost", 0), handler)
        self._httpd.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that turn away
        self._httpd.socket = context.wrap_socket(self._httpd.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{self._httpd.server_address[1]}"
        threading.Thread(target=self._httpd.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()
