"""The rules of SEMANTICS.md as pure functions: values in, values out; no clock, no store, no logging."""
