"""The rules of conversations/README.md as pure functions: values in, values out; no clock, no store, no logging."""
