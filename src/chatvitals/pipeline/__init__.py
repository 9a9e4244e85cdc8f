"""The bounded queue between the bot and the store, and the thread that commits it in batches."""
