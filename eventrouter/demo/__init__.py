"""`eventrouter demo`: the pair at work, for a person to watch."""
