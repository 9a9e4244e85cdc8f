"""The rules of conversations/README.md as pure functions, without clock, store and logging."""
