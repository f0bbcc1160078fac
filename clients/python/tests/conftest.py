"""A service of its own for the tests of a session, without policy and with its store in memory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import vectors

from fluo_kms import KmsClient

HUNG_SECONDS = 60


@dataclass
class Service:
    """A process of the service."""

    process: subprocess.Popen[str]
    grpc: str = ""
    http: str = ""
    lines: list[str] = field(default_factory=list)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(HUNG_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(HUNG_SECONDS)


def start_service(folder: Path, **settings: str) -> Service:
    """Starts a service on free loopback ports, and waits until it serves. Settings are its environment."""
    node = vectors.ROOT / "node_modules" / ".bin" / "node"
    command = [str(node if node.exists() else shutil.which("node")), str(vectors.ROOT / "src" / "main.js"), "serve"]
    ports = {"FLUO_KMS_GRPC_PORT": "0", "FLUO_KMS_HTTP_PORT": "0"}
    environment = {"PATH": os.environ["PATH"], "FLUO_KMS_STORE": "memory", **ports, **settings}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    service = Service(process)
    serving = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            service.lines.append(line)
            if '"msg":"serving"' in line:
                serving.set()
        serving.set()

    threading.Thread(target=read, daemon=True).start()
    assert serving.wait(HUNG_SECONDS), "the service does not serve"
    said = "".join(service.lines)
    assert '"msg":"serving"' in said, said
    service.grpc = re.search(r"gRPC on ([\d.]+:\d+)", said)[1]
    service.http = re.search(r"(https?://[\d.]+:\d+)", said)[1]
    return service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    started = start_service(tmp_path_factory.mktemp("service"))
    yield started
    started.end()


@pytest.fixture
def kms(service: Service) -> Iterator[KmsClient]:
    with KmsClient(service.grpc, insecure=True) as client:
        yield client
