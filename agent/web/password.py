"""The page's password: kept as an argon2id hash, asked for by HTTP's Basic or Bearer scheme."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from agent.data import LookoutError

# OWASP's smallest argon2id setting (cheatsheetseries.owasp.org, "Password Storage"): 19 MiB, which a Pi can spare
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_PENALTY_S = 1.0  # a wrong one costs so long, and the next guess waits
_MAX_CHARS = 256


def hashed(password: str) -> str:
    """What goes into web.password_file."""
    return _hasher.hash(password)


class Password:
    """Tells whether what is given is it. One guess at a time: each takes 19 MiB."""

    def __init__(self, file: Path) -> None:
        """Raises LookoutError: not there, or not a hash."""
        try:
            self._hash = file.read_text("utf-8").strip()
            _hasher.check_needs_rehash(self._hash)
        except (OSError, UnicodeDecodeError) as error:
            raise LookoutError(f"web.password_file {file}: {getattr(error, 'strerror', None) or error}") from error
        except InvalidHashError as error:
            raise LookoutError(f"web.password_file {file}: not an argon2 hash; `lookout password` makes one") from error
        self._salt, self._known = secrets.token_bytes(32), b""
        self._guessing = asyncio.Lock()

    async def matches(self, given: str) -> bool:
        """The one that was right before is known again at once; only its keyed digest is kept."""
        if not given or len(given) > _MAX_CHARS:
            return False
        digest = hmac.digest(self._salt, given.encode(), hashlib.sha256)
        if self._known and hmac.compare_digest(digest, self._known):
            return True
        async with self._guessing:
            good = await asyncio.to_thread(self._verify, given)
            if good:
                self._known = digest
            else:
                await asyncio.sleep(_PENALTY_S)
        return good

    def _verify(self, given: str) -> bool:
        try:
            return _hasher.verify(self._hash, given)
        except (VerificationError, InvalidHashError):
            return False
