"""Rules for webhooks and polls about numbers, templates and accounts."""
