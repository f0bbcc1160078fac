/** `demo`, and the story that it tells of services that are not as they must be. */
import { once } from "node:events";
import { mkdirSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { tellStory } from "../../../src/cli/demo/story.ts";
import { noCredentials } from "../../../src/cli/access/credentials.ts";
import { addressAt } from "../../../src/cli/sign/span-stream.ts";
import { directory } from "../../support/config-fixture.ts";
import { type RunningService, startService } from "../../support/running-service.ts";
import { run } from "../../support/cli-fixture.ts";

describe("demo", () => {
  it("tells its story in order, whatever the environment says, and leaves nothing behind", async () => {
    const cwd = directory({ "application.properties": "fluo.kms.provider=aws\nnonsense\n" });
    mkdirSync(join(cwd, "tmp"));
    const env = {
      FLUO_KMS_PROVIDER: "aws",
      FLUO_KMS_GRPC_PORT: "none",
      FLUO_KMS_GRPC_ADDR: "none",
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
      TMPDIR: join(cwd, "tmp"),
    };
    const { code, out, err } = await run(["demo"], { cwd, env });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const told = [
      "$ npx fluo-kms sign ",
      "6 of 6 signed for acme, entries 0 to 5 of its log",
      "$ npx fluo-kms verify --log --keys keys.json signed.json",
      "entries 0 to 5: 6 spans\n  not checked, without a --checkpoint: whether the log was cut off behind entry 5, or written anew\n  no problems",
      "$ npx fluo-kms verify --log --keys keys.json changed.json",
      "  changed  entry 4  ",
      "$ npx fluo-kms verify --log --keys keys.json removed.json",
      "  missing  entry 4  ",
      "/EncryptPii ",
      '{"fields":[{"name":"email","token":"fk1.',
      "/DecryptPii ",
      '{"fields":[{"name":"email","value":"YW5uQGV4YW1wbGUuY29t"}]}',
      '{"fields":[{"name":"phone","error":',
      "All went as it must",
    ].map((part) => out.indexOf(part));
    expect(told).not.toContain(-1);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
    expect(readdirSync(cwd, { recursive: true }).toSorted()).toEqual(["application.properties", "tmp"]);
  });
});

describe("the story", () => {
  let kms: RunningService;
  beforeAll(async () => {
    kms = await startService();
  });
  afterAll(() => kms.stop());
  beforeEach(() => {
    vi.spyOn(console, "log").mockImplementation(() => {});
    onTestFinished(() => void vi.restoreAllMocks());
  });

  /** Stands in front of the service's HTTP port; `lie` makes of an answer what is said instead. */
  async function liar(lie: (path: string, answer: string) => string): Promise<string> {
    const server = createServer(async (request, response) => {
      const headers = { "content-type": "application/json" };
      const body = request.method === "POST" ? await text(request) : null;
      const answer = await fetch(kms.url + request.url, { method: request.method!, headers, body });
      response.writeHead(answer.status, headers).end(lie(request.url!, await answer.text()));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Always the same run, so the spans have the first places of the log each time. */
  async function tell(lie: (path: string, answer: string) => string): Promise<void> {
    const address = addressAt(`127.0.0.1:${kms.grpcPort}`);
    await tellStory({ signing: { address, credentials: noCredentials, run: "same" }, url: await liar(lie) });
  }

  it("is told to its end by a service that is as it must be, again and again", async () => {
    await tell((_, answer) => answer);
    await tell((_, answer) => answer);
  });

  const otherKey = Buffer.alloc(32, 7).toString("base64url");
  it.each<[string, (path: string, answer: string) => string, RegExp]>([
    [
      "gives the keys of another",
      (path, answer) => (path.endsWith("jwks.json") ? answer.replace(/"x":"[^"]*"/, `"x":"${otherKey}"`) : answer),
      /vkeys\[0\] must be a verifier key of the same key/,
    ],
    [
      "does not encrypt",
      (path, answer) => (path.endsWith("EncryptPii") ? answer.replace(/"fk1[^"]*"/, '"YW5uQGV4YW1wbGUuY29t"') : answer),
      /does not hold: the value is encrypted/,
    ],
    [
      "opens to something else",
      (path, answer) => (path.endsWith("DecryptPii") ? answer.replace(/"value":"\w/, '"value":"X') : answer),
      /does not hold: the token opens under its own field/,
    ],
    [
      "opens under another field",
      (path, answer) =>
        path.endsWith("DecryptPii") ? answer.replace(/"error":\{[^}]*\}/, '"value":"YW5uQGV4YW1wbGUuY29t"') : answer,
      /does not hold: the token does not open under another field/,
    ],
  ])("ends where a service %s", async (_, lie, message) => {
    await expect(tell(lie)).rejects.toThrow(message);
  });
});
