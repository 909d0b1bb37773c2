"""Deciding when: settings, the command line, and the order in which the other folders do their work.

It knows no rule about elections.
"""
