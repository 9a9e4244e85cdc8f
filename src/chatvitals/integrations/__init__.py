"""Integrations of web frameworks and task queues, one module each. Each is imported only on use."""
