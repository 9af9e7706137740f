"""What opens the broker's door: TLS with a verified host name, client certificate, password from a file.

All are read anew for each connection, so a renewed certificate or password needs no restart. None of it is logged.
"""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

from paho.mqtt.client import Client

from agent import config
from agent.data import LookoutError


class CredentialError(LookoutError):
    """A certificate or password that cannot be used; says which file, never what is in it."""


def apply(client: Client, options: config.Mqtt) -> None:
    """Set user, password and TLS; raises CredentialError."""
    if options.username is not None:
        client.username_pw_set(options.username, password(options))
    if options.tls.enabled:
        client.tls_set_context(context(options.tls))


def password(options: config.Mqtt) -> str | None:
    """First line of password_file; a bare name is looked for among systemd's credentials first."""
    if options.password_file is None:
        return None
    path = options.password_file
    stored = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / path.name
    try:
        lines = (stored if stored.is_file() else path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialError(f"mqtt.password_file {path}: {getattr(error, 'strerror', None) or 'not text'}") from error
    if not lines:
        raise CredentialError(f"mqtt.password_file {path}: is empty")
    return lines[0]


def context(tls: config.Tls) -> ssl.SSLContext:
    """TLS 1.2 or later; the certificate is verified and its name is the host's, without exception."""
    try:
        made = ssl.create_default_context(cafile=tls.ca_file)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.cert_file is not None:
            key = tls.key_file or tls.cert_file
            if key.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP):
                raise CredentialError(f"mqtt.tls.key_file {key}: others can read it; chmod 600 it")
            made.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(path) for path in (tls.ca_file, tls.cert_file, tls.key_file) if path)
        raise CredentialError(f"mqtt.tls {files}: {error.strerror or error}") from error
    return made
