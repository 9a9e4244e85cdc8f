"""Process-wide services for all packages, such as the error guard and fork hooks."""
