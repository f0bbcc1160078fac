"""The examples of the README, as they stand there."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import spans

from fluo.kms.v1.signing_pb2 import SignSpansRequest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_runs_every_example(service, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("report.pdf").write_bytes(b"a report")
    whole = spans.resource_spans("a", "b")
    request = SignSpansRequest(resource_spans=[whole])
    (signed,) = request.resource_spans
    names = {"__name__": "readme", "request": request, "spans": signed.scope_spans[0].spans}
    for block in BLOCKS:
        if "KeySet" in block:
            for file, path in (("keys.json", "jwks.json"), ("checkpoint", "log/checkpoint")):
                served = urllib.request.urlopen(f"{service.http}/api/kms/tenants/acme/{path}").read()
                Path(file).write_bytes(served)
            Path("spans.json").write_bytes(spans.export(signed))
        exec(compile(block.replace("localhost:9000", service.grpc), "README.md", "exec", dont_inherit=True), names)
    names["provider"].shutdown()
    printed = capsys.readouterr().out
    assert printed.startswith("ann@example.com\nINVALID_ARGUMENT INVALID_ARGUMENT ['tenant_id'] None\n")
    assert printed.count(" OK\n") == 2
    assert printed.endswith("localhost/acme 0 2 True []\n")
    assert names["customer"].email == "ann@example.com"
    assert Path("report.pdf").read_bytes() == b"a report"
