"""A protoc plugin that is grpcio-tools' own generator of service stubs, which comes as a part of its protoc only."""

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler import plugin_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
response = plugin_pb2.CodeGeneratorResponse(
    supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
)
with tempfile.TemporaryDirectory() as work:
    image, out = Path(work, "image.binpb"), Path(work, "out")
    image.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
    out.mkdir()
    status = protoc.main(
        ["protoc", f"--descriptor_set_in={image}", f"--grpc_python_out={out}", *request.file_to_generate]
    )
    if status != 0:
        response.error = f"protoc of grpcio-tools ended with {status}"
    for path in sorted(out.rglob("*.py")):
        # Messages alone, without a service, have no stub.
        text = path.read_text(encoding="utf-8")
        if "grpc.experimental" in text:
            response.file.add(name=path.relative_to(out).as_posix(), content=text)
sys.stdout.buffer.write(response.SerializeToString())
