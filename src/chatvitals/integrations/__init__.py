"""Other libraries that bots are built with, one module each; none is imported unless its module is."""
