"""What is asked of a version afterwards: the data as it left any layer, for any row.

``rows`` finds which rows are meant, ``kept`` reads what is kept of a layer, ``computing`` computes what is not
(``costs`` says from where), and ``layer`` gives either as one answer: ``version.layer("edges").record(rows)``. On it
stand ``units`` (a layer's numbers by name, which rows excite one most), ``neighbours`` (the nearest rows by a layer),
``trace`` with ``patching`` (a row through every layer, and what if), ``comparing`` (two rows beside each other) and
``attribution`` (which of a layer's numbers the answer rests on). ``shown`` makes pictures of what left a layer.
"""
