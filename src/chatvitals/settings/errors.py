"""The error for a setting that is not allowed."""

from __future__ import annotations


class SettingsError(ValueError):
    """A setting has a value that is not allowed. The message names the setting and the allowed values."""
