"""What a business looks at and is woken by: dashboards, recording and alerting rules, provisioning."""
