"""`python -m chatvitals` is the command `chatvitals`."""

import sys

from chatvitals.cli import main

sys.exit(main())
