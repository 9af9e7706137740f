"""Kinds of second looks, a file each; what they have stands in agent/detect/secondary/__init__.py."""
