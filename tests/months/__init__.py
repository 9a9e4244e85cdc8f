"""Months as a regression test of alerts: all rules on a real Prometheus, over simulated months."""
