"""Bytes at rest: packs of objects, tables, and the catalog of names. Knows nothing of layers.

docs/format.md says what is on disk. Import from the files: `layerwise.store.store.Store` opens a repository.
"""
