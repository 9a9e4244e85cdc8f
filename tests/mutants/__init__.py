"""Small faults that were put into the sources once and that no test had noticed. Each has a test that fails now."""
