"""Comparisons, reports and a list of the most useful things to do now."""
