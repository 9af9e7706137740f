"""A file from a web server, under limits: https only, a size cap, a time limit, never a redirect elsewhere."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from agent.data import LookoutError

_CHUNK = 64 << 10  # bytes
_SILENCE_S = 20.0  # that a server may take for its next bytes


class FetchError(LookoutError):
    """Something that could not be fetched; nothing of it is kept."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """None: the answer counts as an error."""
        return


def fetch(url: str, file: Path, *, largest: int, limit_s: float, ca_file: Path | None = None) -> None:
    """Write what stands at `url` into `file`, at most `largest` bytes, in at most `limit_s`; the file goes on failure.

    Raises FetchError: another scheme than https, a certificate that is not good, an answer other than 200, too large,
    too slow.
    """
    name = f"{urlsplit(url).hostname}{urlsplit(url).path}"
    if urlsplit(url).scheme != "https":
        raise FetchError(f"{name}: only https addresses are fetched")
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirects)
    try:
        with opener.open(url, timeout=_SILENCE_S) as answer, file.open("wb") as out:
            _copy(answer, out, name, largest, time.monotonic() + limit_s)
    except (OSError, http.client.HTTPException, ValueError, FetchError) as error:
        file.unlink(missing_ok=True)
        if isinstance(error, FetchError):
            raise
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the answer
        reason = getattr(error, "reason", None) or error
        raise FetchError(
            f"{name}: cannot be fetched ({' '.join(str(reason).split()) or type(error).__name__})"
        ) from error


def _copy(answer: http.client.HTTPResponse, out: IO[bytes], name: str, largest: int, deadline: float) -> None:
    copied = 0
    while chunk := answer.read1(_CHUNK):
        copied += len(chunk)
        if copied > largest:
            raise FetchError(f"{name}: larger than {largest} bytes; refused")
        if time.monotonic() > deadline:
            raise FetchError(f"{name}: took too long; given up")
        out.write(chunk)
    if answer.length:  # what was promised and did not come
        raise FetchError(f"{name}: cut short after {copied} bytes")
