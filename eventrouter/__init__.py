"""Kubernetes events, captured whole and handed to Fluent Bit with acknowledgement."""

__version__ = "0.1.0"
