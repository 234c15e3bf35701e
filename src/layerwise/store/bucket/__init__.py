"""A repository on an object store: files as objects, a catalog that follows an ordered log of changes."""
