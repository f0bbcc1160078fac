"""Builds the package with the generated messages, without which nothing of it works."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MESSAGES = Path("src/fluo/kms/v1")


class BuildWithMessages(build_py):
    def run(self) -> None:
        if not (MESSAGES / "kms_service_pb2_grpc.py").exists():
            raise SystemExit(f"{MESSAGES} is not generated: run `npm run gen:clients -- python` in the repository")
        super().run()
        # The messages have types, and nothing in their generated folder says so.
        (Path(self.build_lib, "fluo", "kms", "v1") / "py.typed").touch()


setup(cmdclass={"build_py": BuildWithMessages})
