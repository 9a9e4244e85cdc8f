"""`chatvitals demo`: a bot, its customers and a stand-in for WhatsApp on this machine."""
