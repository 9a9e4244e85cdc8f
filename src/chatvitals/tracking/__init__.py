"""What a bot's code reports: journeys, experiments, handlers, and the contact that a call is about."""
