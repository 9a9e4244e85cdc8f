"""A WhatsApp to try things on: a Cloud API stand-in, customers who measure their own waiting time, scenarios.

Everything runs on this machine, over real HTTP on loopback, with made-up people and numbers.
"""
