"""Makes what lies in `grafana/`: dashboards as code, rules and their tests."""
