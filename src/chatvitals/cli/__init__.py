"""The command `chatvitals`, with one module per command."""
