"""Builds the package with setuptools, and generates its messages and stubs first, from the repository's `proto/`.

The generated code is in no commit. A source distribution has it, and is built without `proto/` and the generator.
Builds are made in a copy: nothing of an earlier build gets into a package, and the checkout may be read-only.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from setuptools import build_meta

# The lowest one that is supported, which is what the generated code asks of those who run it: grpcio 1.66.2, and
# protobuf 5.27.2. What it makes is loaded by all later ones.
GENERATOR = "grpcio-tools==1.66.2"

HERE = Path(__file__).resolve().parent
PROTO = HERE.parents[1] / "proto"
SOURCE = HERE / "src"


def get_requires_for_build_wheel(config_settings: dict | None = None) -> list[str]:
    """Returns what the build needs beside setuptools."""
    if in_checkout():
        return [GENERATOR]
    if (SOURCE / "fluo").is_dir():
        return []
    raise SystemExit(f"{PROTO} is not there: install from a checkout of the whole repository, by pip 21.3 or later")


get_requires_for_build_sdist = get_requires_for_build_wheel
get_requires_for_build_editable = get_requires_for_build_wheel


def build_wheel(
    wheel_directory: str, config_settings: dict | None = None, metadata_directory: str | None = None
) -> str:
    """Returns the name of the wheel."""
    with complete_copy():
        return build_meta.build_wheel(wheel_directory, config_settings)


def build_sdist(sdist_directory: str, config_settings: dict | None = None) -> str:
    """Returns the name of the source distribution."""
    with complete_copy():
        return build_meta.build_sdist(sdist_directory, config_settings)


def build_editable(
    wheel_directory: str, config_settings: dict | None = None, metadata_directory: str | None = None
) -> str:
    """Returns the name of a wheel that leads to this folder, where the generated code then is."""
    if in_checkout():
        generate(SOURCE)
    return build_meta.build_editable(wheel_directory, config_settings)


def in_checkout() -> bool:
    """Whether the protos are there to generate from."""
    return (PROTO / "fluo").is_dir()


@contextmanager
def complete_copy() -> Iterator[None]:
    """Enters a copy of the package's files with the generated code, for as long as a build takes."""
    with tempfile.TemporaryDirectory() as folder:
        for file in filter(Path.is_file, [*HERE.iterdir(), *SOURCE.rglob("*.*")]):
            copy = Path(folder, file.relative_to(HERE))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        if in_checkout():
            generate(Path(folder, "src"))
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(HERE)


def generate(source: Path) -> None:
    """Writes the package `fluo` into `source`, as a whole: what is no longer generated goes."""
    # Only a build from a checkout has them.
    from grpc_tools import protoc

    sys.path.insert(0, str(HERE))
    from grpc_types import write_types

    package = source / "fluo"
    shutil.rmtree(package, ignore_errors=True)
    includes = [f"-I{PROTO}", f"-I{resources.files('grpc_tools') / '_proto'}"]
    outputs = [f"--{kind}_out={source}" for kind in ("python", "pyi", "grpc_python")]
    protos = sorted(str(file) for file in (PROTO / "fluo").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        descriptors = Path(folder, "descriptors.binpb")
        outputs += [f"--descriptor_set_out={descriptors}", "--include_imports"]
        if protoc.main(["protoc", *includes, *outputs, *protos]) != 0:
            raise SystemExit("protoc could not generate the messages")
        write_types(descriptors.read_bytes(), source)
    for stubs in package.rglob("*_pb2_grpc.py"):
        # Files without a service get stubs of nothing.
        if "grpc.experimental" not in stubs.read_text(encoding="utf-8"):
            stubs.unlink()
    for folder in {file.parent for file in package.rglob("*_pb2.py")}:
        # The messages have types, and nothing in their generated folder says so.
        (folder / "py.typed").touch()


if __name__ == "__main__":
    generate(SOURCE)
