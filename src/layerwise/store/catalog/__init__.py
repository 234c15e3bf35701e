"""Names, versions, runs, metrics, packs, leases, kept in SQL: `layerwise.store.catalog.catalog` is its door."""
