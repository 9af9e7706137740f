"""python -m tests.golden: rewrite the golden files from what the replay says now; review the diff."""

import os
import tempfile
from pathlib import Path

from tests.conftest import ROOT
from tests.golden import CONFIGS, path, replay

clip = Path(os.environ.get("LOOKOUT_DATA", ROOT.parent / "shared" / "data")) / "video" / "vtest.avi"
with tempfile.TemporaryDirectory() as folder:
    for name in CONFIGS:
        path(name).write_text(replay(name, clip, Path(folder)))
        print(f"wrote {path(name).relative_to(ROOT)}")
