import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { startFailure } from "../../../src/cli/failures.ts";
import { directory } from "../../support/config-fixture.ts";
import { answering, resultOf, run, runProcess, start } from "../../support/cli-fixture.ts";
import { startProcess } from "../../support/service-process.ts";

const anyPorts = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };

describe("serve", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("serves until %s, then exits with 0", async (signal) => {
    const { child, http } = await startProcess();
    expect((await run(["status", "--address", http])).code).toBe(0);
    const closed = once(child, "close");
    child.kill(signal);
    expect(await closed).toEqual([0, null]);
  });

  it("ends at once with 1 at a second signal, though a call still runs", async () => {
    const { child, http, said } = await startProcess();
    const halfRequest = connect(Number(new URL(http).port), "127.0.0.1").on("error", () => {});
    halfRequest.write("POST /api/admin/kms/validate HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{");
    // An answer on another connection: by then the service has the first one, too.
    await run(["status", "--address", http]);
    const closed = once(child, "close");
    child.kill("SIGTERM");
    await said(/"draining"/);
    child.kill("SIGTERM");
    expect(await closed).toEqual([1, null]);
    halfRequest.destroy();
  });

  it("warns of a variable that is no setting, in the log and in Status", async () => {
    const { said, client } = await startProcess({ FLUO_KMS_PROVDER: "aws" });
    const warning = "FLUO_KMS_PROVDER (environment) is no setting and has no effect; did you mean FLUO_KMS_PROVIDER?";
    expect(JSON.parse(await said(/FLUO_KMS_PROVDER/))).toMatchObject({ level: 40, msg: warning });
    const { notices, noticeDetails } = await client.status({});
    expect(notices).toContain(warning);
    expect(noticeDetails).toContainEqual(
      expect.objectContaining({ code: "UNKNOWN_VARIABLE", subject: "FLUO_KMS_PROVDER", text: warning }),
    );
  });

  it("prints every problem of the configuration, a line each, and exits with 2", async () => {
    const cwd = directory({ "my.properties": "fluo.kms.gprc.port=1\nkms.cache.ttl=60\n" });
    const { code, out, err } = await runProcess(["--config", "my.properties"], { cwd });
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^fluo\.kms\.gprc\.port .* did you mean fluo\.kms\.grpc\.port\?$/),
      expect.stringMatching(/^kms\.cache\.ttl .* not "60"$/),
    ]);
  });

  it("prints them as JSON where asked", async () => {
    const { code, out } = await run(["serve", "--json"], { env: { FLUO_KMS_PROFILE: "prod" } });
    expect(code).toBe(2);
    const { code: word, fields } = JSON.parse(out);
    expect(word).toBe("INVALID_ARGUMENT");
    const names = fields.map(({ field }: { field: string }) => field);
    expect(names).toEqual(["fluo.kms.auth", "fluo.kms.provider", "fluo.kms.issuer"]);
  });

  it.each(["grpc", "http"])("says in one line that the port of %s is in use", async (which) => {
    const { port } = await answering(200, {});
    const env = { ...anyPorts, [`FLUO_KMS_${which.toUpperCase()}_PORT`]: String(port), GRPC_VERBOSITY: "NONE" };
    const { code, err } = await resultOf(start(["serve"], { env }));
    expect(code).toBe(1);
    expect(err).toBe(
      `fluo-kms: port ${port} of 127.0.0.1 is in use; stop what uses it, or set fluo.kms.${which}.port to another port\n`,
    );
  });
});

describe("a start that fails", () => {
  const config = { host: "127.0.0.1", grpcPort: 80, httpPort: 81 };
  const error = (code: string, port: number) =>
    Object.assign(new Error(`listen ${code}: 127.0.0.1:${port}`), { code, port });

  it.each([
    [error("EACCES", 80), "set fluo.kms.grpc.port to a port above 1023"],
    [error("EACCES", 81), "set fluo.kms.http.port to a port above 1023"],
    [error("EADDRNOTAVAIL", 80), "127.0.0.1 is not an address of this machine"],
    [
      new Error("No address added: [listen EADDRINUSE: address already in use 127.0.0.1:80]"),
      "port 80 of 127.0.0.1 is in use",
    ],
    [new Error("first\n    at second"), "did not start, or did not stop in order: first"],
    [new SuppressedError(new Error("a part does not close"), error("EACCES", 81)), "set fluo.kms.http.port"],
  ])("is one line: %s", (cause, text) => {
    expect(startFailure(cause, config)).toContain(text);
    expect(startFailure(cause, config)).not.toContain("\n");
  });
});
