"""What kinds of anomalies are made of; the floor plan stands in agent/anomalies/__init__.py."""
