"""`python -m chatvitals` is the command `chatvitals`."""

import sys

from chatvitals.cli.main import main

sys.exit(main())
