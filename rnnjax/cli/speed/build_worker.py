"""One build of rnnjax, timed by its own benchmark, in a process that imports that build; not imported from here.

Requests: {"size": [...]} builds and compiles; {"steps": n} trains on and answers with the processor time of all cores.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

# Where builds have had their contenders: the folder on the path, and the module.
PLACES = ((".", "rnnjax.cli.speed.contenders"), ("scripts", "benchmarks.speed.contenders"), ("scripts", "peers"))


def import_contenders(build: Path) -> Any:
    """The module of the build with `Size` and `ours`; an installed rnnjax may have another of that name."""
    for folder, name in PLACES:
        if (build / folder / f"{name.replace('.', '/')}.py").exists():
            return importlib.import_module(name)
    sys.exit(f"no benchmark found in {build}")


def serve() -> None:
    """Answer the requests of stdin on stdout."""
    from rnnjax import devices

    devices.prepare()
    contenders, step = import_contenders(Path(sys.argv[1])), None
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "size" in asked:
            step, runs = contenders.ours(contenders.Size(*asked["size"]))
            print(json.dumps({"runs": runs}), flush=True)
        elif step:
            before = time.process_time()
            step(asked["steps"])
            print(json.dumps({"processor": time.process_time() - before}), flush=True)


if __name__ == "__main__":
    serve()
