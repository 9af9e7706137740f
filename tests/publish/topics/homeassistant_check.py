"""Validates a discovery message with Home Assistant's own schemas; runs in an environment that has `homeassistant`.

Versions before 2024.11 know no device discovery: each component is then validated as a message of its own, with
the device, origin and availability of the whole put into it, which is how Home Assistant itself spreads them.
"""

import importlib
import json
import sys
from pathlib import Path

offer = json.loads(Path(sys.argv[1]).read_text())
shared = {key: offer[key] for key in ("device", "origin", "availability", "availability_mode", "qos")}
for name, component in offer["components"].items():
    single = {**shared, **component}
    platform = single.pop("platform")
    module = importlib.import_module(f"homeassistant.components.mqtt.{platform}")
    single.pop("origin")  # stripped before validation in versions that know it there
    unknown = set(single) - set(module.DISCOVERY_SCHEMA(single))  # it drops what it does not know without a word
    assert not unknown, f"{name}: {sorted(unknown)}"
    print("valid", platform, name)
