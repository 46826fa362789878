"""Logs and runs in a notebook: what is shown of them, and the magic ``%%tasklog``."""
