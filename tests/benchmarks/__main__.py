"""`python -m tests.benchmarks` is `python -m tests.benchmarks.webhook`, so far the only benchmark."""

from tests.benchmarks.webhook import main

main()
