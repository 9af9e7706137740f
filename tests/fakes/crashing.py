"""A child process that does not live long: python -m tests.fakes.crashing FILE, whose text says how it ends."""

import os
import signal
import sys
import time
from pathlib import Path

match Path(sys.argv[1]).read_text():
    case "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    case "hang":
        time.sleep(60)
    case "fail":
        sys.exit("a reason")
    case "fine":
        print("all is well")
