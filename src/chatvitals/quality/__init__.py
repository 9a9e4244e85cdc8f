"""How WhatsApp rates the business: the rules for webhooks and polls about numbers, templates and accounts."""
