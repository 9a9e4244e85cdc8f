"""Reports from a bot's code: journeys, experiments, handlers, and the contact of a call."""
