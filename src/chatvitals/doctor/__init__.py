"""Checks of `chatvitals doctor`, with advice for everything that needs attention."""
