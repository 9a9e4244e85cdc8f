"""WhatsApp's wire format: webhooks, send requests, signatures and enumerations."""
