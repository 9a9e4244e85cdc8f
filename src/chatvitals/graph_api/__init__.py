"""The Graph API: its client, and the poller of quality ratings."""
