"""The client of the Graph API, and the poller of quality ratings."""
