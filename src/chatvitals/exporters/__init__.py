"""Outputs of a store's metrics: Prometheus's formats, OpenTelemetry and an HTTP server."""
