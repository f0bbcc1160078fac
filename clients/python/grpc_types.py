"""Types of the generated service stubs, as `*_pb2_grpc.pyi` beside them: protoc and grpcio-tools write none.

A service `S` has two classes: `SStub`, of a channel of `grpc`, and `SAsyncStub`, of one of `grpc.aio`. The second is a
type alone: when a program runs, `SStub` is the class of both.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto

# The kinds of method that the protos have; `fluo_kms/_calls.pyi` has their types.
_KINDS = {(False, False): "UnaryUnary", (True, True): "StreamStream"}


def write_types(descriptors: bytes, source: Path) -> None:
    """Writes the types of every service of a serialised FileDescriptorSet below `source`."""
    files = FileDescriptorSet.FromString(descriptors).file
    modules = {
        f".{file.package}.{message.name}": file.name.removesuffix(".proto").replace("/", ".") + "_pb2"
        for file in files
        for message in file.message_type
    }
    for file in files:
        if file.service and (source / file.name).parent.is_dir():
            target = source / (file.name.removesuffix(".proto") + "_pb2_grpc.pyi")
            target.write_text(_types(file, modules), encoding="utf-8")


def _types(file: FileDescriptorProto, modules: dict[str, str]) -> str:
    methods = [method for service in file.service for method in service.method]
    used = sorted({modules[name] for method in methods for name in (method.input_type, method.output_type)})
    kinds = sorted({_KINDS[method.client_streaming, method.server_streaming] for method in methods})
    lines = [
        "import grpc",
        "import grpc.aio",
        "from fluo_kms._calls import " + ", ".join([*kinds, *(f"Async{kind}" for kind in kinds)]),
        *(f"import {module}" for module in used),
    ]
    for service in file.service:
        lines += ["", *_stub(service, modules, "Stub", "grpc.Channel", "")]
        lines += ["", *_stub(service, modules, "AsyncStub", "grpc.aio.Channel", "Async")]
        lines += ["", *_servicer(service)]
    return "\n".join(lines) + "\n"


def _stub(
    service: ServiceDescriptorProto, modules: dict[str, str], suffix: str, channel: str, prefix: str
) -> list[str]:
    def message(name: str) -> str:
        return f"{modules[name]}.{name.rpartition('.')[2]}"

    return [
        f"class {service.name}{suffix}:",
        f"    def __init__(self, channel: {channel}) -> None: ...",
        *(
            f"    {method.name}: {prefix}{_KINDS[method.client_streaming, method.server_streaming]}"
            f"[{message(method.input_type)}, {message(method.output_type)}]"
            for method in service.method
        ),
    ]


def _servicer(service: ServiceDescriptorProto) -> list[str]:
    """A service of one's own, such as a test's: its methods may be coroutines, so what they take is left open."""
    return [
        f"class {service.name}Servicer: ...",
        f"def add_{service.name}Servicer_to_server(",
        f"    servicer: {service.name}Servicer, server: grpc.Server | grpc.aio.Server",
        ") -> None: ...",
    ]
