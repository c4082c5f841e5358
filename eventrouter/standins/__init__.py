"""Stand-ins for the API server and for Fluent Bit, on real sockets.

The demo, the tests and the benchmark all use these two. Nothing here imports the rest of the
package.
"""
