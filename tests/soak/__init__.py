"""A day in an hour: `make soak`."""
