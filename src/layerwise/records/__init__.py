"""What left the layers of versions, at rest: sets of records, their chunks, and how they are found again.

``recordset`` says what is kept of whom, ``writing`` keeps it, ``reading`` gives it back row by row; ``units`` and
``nearby`` answer which rows excite a unit most and which are nearest.
"""
