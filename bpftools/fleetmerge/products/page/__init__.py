"""report.html: the run to look at."""
