"""`eventrouter setup`: prepare Elasticsearch or OpenSearch for the events, once.

The watcher imports nothing of this folder, and this folder nothing of the watcher.
"""
