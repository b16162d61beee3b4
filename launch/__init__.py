"""Commands. Imported before anything else of a command: what must be set before NumPy and SciPy load is set here."""

import os

# every device has its core, and runs LAPACK there: OpenBLAS's threads on top of them would fight for the same cores
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
