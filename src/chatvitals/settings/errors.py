"""The error of every setting that is not allowed."""

from __future__ import annotations


class SettingsError(ValueError):
    """A setting has a value that is not allowed; the message names the setting and what is allowed."""
