"""How what is seldom read is kept smaller, each object still read on its own (docs/format.md)."""
