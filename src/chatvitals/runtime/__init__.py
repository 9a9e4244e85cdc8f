"""What every part needs of the process: the error guard and fork hooks."""
