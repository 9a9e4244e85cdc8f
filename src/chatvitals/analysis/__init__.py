"""From numbers to decisions: comparisons, reports, and what is worth doing now."""
