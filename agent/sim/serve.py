"""The embedded broker's own process: one rumqttd, alive for as long as its standard input is open.

Run by file name by agent/sim/broker.py, and importing nothing of the agent, so that it is up in 0.2 s. A process,
because rumqttd cannot be stopped; tied to a pipe, because a pipe closes however its other end dies.
"""

import logging
import os
import socket
import sys
import tempfile
import time
from pathlib import Path

from iotcore import IotCoreBroker

HOST = "127.0.0.1"
_TCP = Path("/proc/self/net/tcp")
_PATIENCE = 5.0  # s for rumqttd to open its port, after which somebody else must have it

# MQTT 3.1.1 alone: rumqttd needs a port for each version, and its 3.1.1 side panics when a message with MQTT 5
# properties crosses over. What it routes it keeps in memory, segment_count x segment_size for each filter subscribed
# to: its usual 10 x 100 MB would let snapshots eat a gigabyte.
_CONFIG = """
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 4194304
max_segment_count = 2
[v4.1]
name = "v4"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v4.1.connections]
connection_timeout_ms = 5000
max_payload_size = 16777216
max_inflight_count = 100
"""


def main(port: int) -> None:
    """Serve MQTT 3.1.1 on `port`; say "ready", or why not, in one line on standard output."""
    logging.disable()  # rumqttd reports every packet as an error
    try:
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder, "rumqttd.toml")
            config.write_text(_CONFIG.format(host=HOST, port=port))
            IotCoreBroker(config_path=str(config)).start()
        _wait_for(port)
    except OSError as error:
        sys.stdout.write(f"{error}\n")
        return
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


def _wait_for(port: int) -> None:
    """Return once this very process listens on `port`; raises OSError when it does not come to that."""
    deadline = time.monotonic() + _PATIENCE
    while not _is_ours(port):
        if time.monotonic() > deadline:
            raise OSError(f"cannot listen on {HOST}:{port}")
        time.sleep(0.005)


def _is_ours(port: int) -> bool:
    """Whether a row of /proc/net/tcp in state 0A (listening) has this port and the inode of a socket of ours."""
    if not _TCP.exists():  # not Linux; then whoever answers is taken for us
        return _answers(port)
    links = map(_link, Path("/proc/self/fd").iterdir())
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in links}
    rows = [line.split() for line in _TCP.read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" and row[9] in inodes for row in rows)


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _link(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:  # closed since it was listed
        return ""


if __name__ == "__main__":
    main(int(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # rumqttd's threads would not join
