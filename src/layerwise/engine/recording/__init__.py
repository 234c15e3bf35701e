"""What is kept while something runs: what was asked for, records of rows, live recordings, statistics, warnings."""
