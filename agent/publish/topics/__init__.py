"""One MQTT-facing feature a file; the contract stands in agent/publish/__init__.py."""
