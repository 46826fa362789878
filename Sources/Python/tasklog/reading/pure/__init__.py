"""Reads logs with Python's own SQLite, where there is no native library."""
