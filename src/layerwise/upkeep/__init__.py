"""Keeping a repository well: is every byte what it was, what is no longer needed, how is a catalog made again."""
