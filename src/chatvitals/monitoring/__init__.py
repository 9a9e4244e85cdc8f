"""Dashboards, recording rules, alerting rules and their provisioning."""
