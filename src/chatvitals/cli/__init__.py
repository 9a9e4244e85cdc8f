"""The command `chatvitals`: one module per command."""
