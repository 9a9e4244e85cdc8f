"""`python -m tests.benchmarks` is `python -m tests.benchmarks.webhook`, the shortest of the benchmarks."""

import sys

from tests.benchmarks.webhook import main

sys.exit(main())
