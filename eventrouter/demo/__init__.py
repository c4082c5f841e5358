"""`eventrouter demo`: the watcher and a sidecar at work, for a person to watch."""
