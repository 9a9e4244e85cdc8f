"""A simulated WhatsApp: a stand-in for the Cloud API, customers that measure their waits, and scenarios.

Everything runs on this machine, over real HTTP on loopback, with made-up people and numbers.
"""
