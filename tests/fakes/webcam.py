"""A network camera (MJPEG over HTTP) that can misbehave: silent, corrupt, another size, gone."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np


class Webcam:
    """Serves noise with a red square; its attributes say how it behaves from now on."""

    def __init__(self, port: int = 0) -> None:
        self.size = (320, 192)  # (width, height) px
        self.silent = self.corrupt = self.gone = False
        self.seq = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/stream"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def picture(self) -> bytes:
        """The next JPEG."""
        self.seq += 1
        noise = np.random.default_rng(self.seq)
        image = noise.integers(60, 120, (self.size[1], self.size[0], 3), np.uint8)
        image[40:120, 40:120] = (0, 0, 230)  # BGR
        data = bytearray(cv2.imencode(".jpg", image)[1].tobytes())
        if self.corrupt:  # the length stays, what is between the marks does not
            data[len(data) // 3 : -2] = noise.bytes(len(data) - 2 - len(data) // 3)
        return bytes(data)

    def close(self) -> None:
        self.gone = True
        self._server.shutdown()
        self._server.server_close()


def _handler(camera: Webcam) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if camera.gone:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            try:
                while not camera.gone:
                    if not camera.silent:
                        data = camera.picture()
                        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                        self.wfile.write(head.encode() + data + b"\r\n")
                    time.sleep(0.03)
            except OSError:
                return

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler
