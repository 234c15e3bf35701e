"""The command ``layerwise``: one file a group of commands. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

from layerwise.cli.app import main as main

__all__ = ["main"]
