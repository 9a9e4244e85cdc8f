"""Small faults that were put into the sources once and that no test had noticed; each has a test that fails now."""
