/** How long connections may say nothing, and who is a caller: on both ports, on a clock that the test moves. */
import { create } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { StatusResponseSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { KmsError } from "../../../src/errors.ts";
import { eventually } from "../../support/eventually.ts";
import { echo } from "../../support/stream-fixture.ts";
import { startGuardedPorts } from "../../support/guarded-ports.ts";
import { guardedServer } from "../../support/guarded-server.ts";

const [firstCallMs, idleMs] = [30_000, 900_000];
/** A connection that ended in order is closed so long after its last answer. */
const lingerMs = 5_000;
const status = () => create(StatusResponseSchema);

async function start(options: Partial<Parameters<typeof startGuardedPorts>[0]> = {}) {
  const ports = await startGuardedPorts({ handlers: { status }, signSpans: echo, ...options });
  onTestFinished(() => ports.stop());
  return ports;
}

describe("the time to the first call", () => {
  it("ends a stranger's connection by GOAWAY, and leaves a caller's", async () => {
    const { grpc, acted, clock } = await start();
    const [stranger, refused, caller] = [await grpc(), await grpc(), await grpc()];
    expect(await refused.call("Status")).toBe(16);
    expect(await caller.call("Status", "ops")).toBe(0);
    clock.ms += firstCallMs;
    expect([await stranger.goaway, await refused.goaway]).toEqual([0, 0]);
    await Promise.all([stranger.closed, refused.closed]);
    expect(acted).toEqual(["first_call 127.0.0.1", "first_call 127.0.0.1"]);
    expect(await caller.call("Status", "ops")).toBe(0);
  });

  it("once more closes one that watches the health", async () => {
    const { grpc, acted, clock } = await start();
    const watcher = await grpc();
    await watcher.watch();
    clock.ms += firstCallMs;
    expect(await watcher.goaway).toBe(0);
    clock.ms += firstCallMs - 1;
    const other = await grpc();
    clock.ms += 1;
    await watcher.closed;
    expect([acted, other.isClosed()]).toEqual([["first_call 127.0.0.1"], false]);
  });

  it("closes a stranger's connection of HTTP, and leaves a caller's", async () => {
    const { http, acted, clock } = await start();
    const [silent, looks, caller] = [await http(), await http(), await http()];
    expect((await looks.ask("/q/health")).status).toBe(200);
    expect((await caller.ask("/api/admin/kms/status", "ops")).status).toBe(200);
    clock.ms += firstCallMs - 1;
    const late = await http();
    clock.ms += 1;
    await Promise.all([silent.closed, looks.closed]);
    expect([late.isClosed(), caller.isClosed(), acted]).toEqual([
      ...[false, false],
      ["first_call 127.0.0.1", "first_call 127.0.0.1"],
    ]);
    expect((await caller.ask("/api/admin/kms/status", "ops")).status).toBe(200);
  });

  it("ends a stranger's connection of HTTP behind the answer that it waits for", async () => {
    const bothAsked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    let asked = 0;
    const publicKeySet = async () => {
      asked += 1;
      if (asked === 2) bothAsked.resolve();
      await answer.promise;
      throw new KmsError("INVALID_ARGUMENT", "an answer");
    };
    const { http, clock, acted } = await start({ handlers: { publicKeySet }, open: ["public-keys", "health"] });
    const [goesOn, stops, silent] = [await http(), await http(), await http()];
    const waits = [goesOn, stops].map((each) => each.ask("/api/kms/tenants/acme/jwks.json"));
    await bothAsked.promise;
    clock.ms += firstCallMs;
    await silent.closed; // all have been looked at
    answer.resolve();
    expect((await Promise.all(waits)).map((each) => each.status)).toEqual([400, 400]);
    expect((await goesOn.ask("/q/health")).headers).toContain("connection: close");
    await goesOn.closed;
    expect(stops.isClosed()).toBe(false);
    clock.ms += lingerMs;
    await stops.closed;
    expect(acted).toHaveLength(3);
  });

  it("is a sixth of it where many are strangers", async () => {
    const { open, openCaller, clock, acted } = await guardedServer({ max: 16, firstCallMs });
    const [caller, ...strangers] = [await openCaller(), await open(), await open(), await open()];
    clock.ms += firstCallMs / 6;
    await Promise.all(strangers.map(({ closed }) => closed));
    expect([acted.length, caller.isClosed()]).toEqual([3, false]);
    const few = await open();
    clock.ms += firstCallMs / 6;
    const [one, two] = [await open("127.0.0.2"), await open("127.0.0.3")];
    await few.closed; // as there are three again
    expect([one.isClosed(), two.isClosed(), acted.at(-1)]).toEqual([false, false, "first_call 127.0.0.1"]);
  });
});

describe("the time without a call", () => {
  it("ends a caller's connection by GOAWAY, and not one that has a stream, or called lately", async () => {
    const { grpc, clock, acted } = await start();
    const [idle, streams, lately] = [await grpc(), await grpc(), await grpc()];
    for (const each of [idle, lately]) expect(await each.call("Status", "ops")).toBe(0);
    await streams.open("SignSpans", "ops");
    clock.ms += idleMs - 1;
    expect(await lately.call("Status", "ops")).toBe(0);
    clock.ms += 1;
    expect(await idle.goaway).toBe(0);
    await idle.closed;
    expect([streams.isClosed(), lately.isClosed(), acted]).toEqual([false, false, ["idle 127.0.0.1 caller"]]);
    expect(await lately.call("Status", "ops")).toBe(0);
  });

  it("begins when the last stream ends", async () => {
    const { grpc, clock, acted } = await start();
    const [idle, streams] = [await grpc(), await grpc()];
    expect(await idle.call("Status", "ops")).toBe(0);
    const stream = await streams.open("SignSpans", "ops");
    clock.ms += idleMs - 1;
    stream.end();
    await stream.ended;
    clock.ms += 1;
    await idle.closed;
    expect(acted).toHaveLength(1);
    clock.ms += idleMs;
    expect(await streams.goaway).toBe(0);
    await streams.closed;
  });

  it("closes a caller's connection of HTTP, and not one that called lately", async () => {
    const { http, clock, acted } = await start();
    const [idle, lately] = [await http(), await http()];
    for (const each of [idle, lately]) expect((await each.ask("/api/admin/kms/status", "ops")).status).toBe(200);
    clock.ms += idleMs - 1;
    expect((await lately.ask("/api/admin/kms/status", "ops")).status).toBe(200);
    clock.ms += 1;
    await idle.closed;
    expect([lately.isClosed(), acted]).toEqual([false, ["idle 127.0.0.1 caller"]]);
  });
});

describe("a caller", () => {
  it("is who has called with a grant, on either port", async () => {
    const { grpc, http, counts } = await start();
    const [one, other] = [await grpc(), await http()];
    expect(counts()).toEqual({ "grpc stranger": 1, "http stranger": 1 });
    expect(await one.call("Status", "ops")).toBe(0);
    expect((await other.ask("/api/admin/kms/status", "ops")).status).toBe(200);
    expect(counts()).toEqual({ "grpc caller": 1, "http caller": 1 });
    // It stays one, whatever else it asks.
    expect(await one.call("Status")).toBe(16);
    expect(counts()).toEqual({ "grpc caller": 1, "http caller": 1 });
  });

  it("is nobody whom no rule names, who is refused, or who asks for what is open", async () => {
    const { grpc, http, counts } = await start();
    const [one, other] = [await grpc(), await http()];
    expect(await one.call("Status")).toBe(16);
    expect(await one.call("Status", "forged")).toBe(16);
    expect(await one.call("Status", "bob")).toBe(7);
    await one.watch();
    expect((await other.ask("/q/health")).status).toBe(200);
    expect((await other.ask("/api/kms/whoami", "bob")).status).toBe(200);
    expect(counts()).toEqual({ "grpc stranger": 1, "http stranger": 1 });
  });

  it("is who has a grant and asks who it is", async () => {
    const { http, counts } = await start();
    const client = await http();
    expect((await client.ask("/api/kms/whoami", "ops")).status).toBe(200);
    expect(counts()).toEqual({ "http caller": 1 });
  });

  it("is everybody who calls where nobody is authenticated, and nobody who is silent", async () => {
    const { grpc, http, counts, clock } = await start({ authenticated: false });
    const [one, other, silent] = [await grpc(), await http(), await grpc()];
    expect(await one.call("Status")).toBe(0);
    expect((await other.ask("/q/health")).status).toBe(200);
    expect(counts()).toEqual({ "grpc caller": 1, "grpc stranger": 1, "http caller": 1 });
    clock.ms += firstCallMs;
    expect(await silent.goaway).toBe(0);
    await eventually(() => expect(counts()).toEqual({ "grpc caller": 1, "http caller": 1 }));
  });
});
