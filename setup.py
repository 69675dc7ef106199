"""What pyproject.toml cannot say: a wheel has the studies of configs/ as rnnjax/configs/."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CONFIGS = Path("configs")


class BuildWithConfigs(build_py):
    """Copies configs/ into the package; an editable installation finds them in the checkout."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for path in sorted(CONFIGS.glob("*/*.toml")):
                copy = Path(self.build_lib, "rnnjax", path)
                self.mkpath(str(copy.parent))
                self.copy_file(str(path), str(copy), preserve_mode=False)


setup(cmdclass={"build_py": BuildWithConfigs})
