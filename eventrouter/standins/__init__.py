"""Stand-ins for the API server and for Fluent Bit, on real sockets.

The demo, the tests and the benchmark use them. They import nothing else of the package.
"""
