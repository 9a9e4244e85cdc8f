"""From the bot's path to the store: a bounded queue and the thread that commits it in batches."""
