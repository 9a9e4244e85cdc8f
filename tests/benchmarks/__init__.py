"""What chatvitals costs: `python -m tests.benchmarks` measures it against the budgets of the design."""
