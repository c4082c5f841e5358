"""A small pretended cluster and a pretended Fluent Bit, over real sockets.

`make run`, the tests and the benchmark all use these two stand-ins: `ApiServer` serves the events
API from an `EventStore`, `Receiver` takes the forward protocol and acknowledges. `scenario` writes
what a small cluster would.
"""
