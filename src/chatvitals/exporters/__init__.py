"""Outputs: the metrics of a store for Prometheus."""
