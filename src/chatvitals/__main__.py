"""Entry point of `python -m chatvitals`, which is the command `chatvitals`."""

import sys

from chatvitals.cli.main import main

sys.exit(main())
