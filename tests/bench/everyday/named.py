"""`eventrouter`, whose threads tell the system their names, as all do from Python 3.14 on.

Without names nobody can tell the accounts of the threads apart. Each thread pays for it once.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

_LONGEST = 15  # of a name in the kernel


def name_threads() -> None:
    """Let every thread that starts from now on tell the system its name."""
    run = threading.Thread.run

    def named(thread: threading.Thread) -> None:
        comm = Path(f"/proc/self/task/{threading.get_native_id()}/comm")
        comm.write_text(thread.name[:_LONGEST])
        run(thread)

    threading.Thread.run = named  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    name_threads()
    from eventrouter.cli import main

    sys.exit(main())
