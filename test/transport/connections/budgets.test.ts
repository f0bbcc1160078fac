/** What strangers may cost, by network. Real sockets, on a clock that the test moves; the test says what their clients do. */
import { describe, expect, it } from "vitest";
import { shutWaitMs } from "../../../src/transport/connections/accept-queue.ts";
import { mostCallsInTurn } from "../../../src/transport/connections/open-connection.ts";
import { connectingMs, freeBytes, refusalMs } from "../../../src/transport/connections/costs.ts";
import { eventually } from "../../support/eventually.ts";
import { guardedServer, type Let } from "../../support/guarded-server.ts";

/** One a second, and five at once. */
const resetsPerSecond = 1;
const burst = 5;

function resets({ connection }: Let, count: number): void {
  for (let n = 0; n < count; n += 1) connection.wasReset();
}

function refuse({ connection }: Let, times: number): void {
  for (let n = 0; n < times; n += 1) connection.refused();
}

describe("resets of strangers over the budget of their network", () => {
  it("close its strangers, and leave its callers and other networks", async () => {
    const { open, openCaller, acted, counts } = await guardedServer({ resetsPerSecond });
    const caller = await openCaller();
    const [one, two, elsewhere] = [await open(), await open(), await open("127.0.0.2")];
    resets(one, burst - 1);
    expect(counts()).toEqual({ callers: 1, strangers: 3 });
    resets(two, 1);
    await Promise.all([one.closed, two.closed]);
    expect([caller.isClosed(), elsewhere.isClosed(), counts()]).toEqual([
      ...[false, false],
      { callers: 1, strangers: 1 },
    ]);
    expect(acted).toEqual(["resets 127.0.0.1", "resets 127.0.0.1"]);
    expect((await open("127.0.0.2")).isClosed()).toBe(false);
  });

  it("make new ones of it wait, and those get in when the budget is back", async () => {
    const { open, start, clock } = await guardedServer({ resetsPerSecond });
    const first = await open();
    resets(first, burst);
    await first.closed;
    const next = start();
    await open("127.0.0.2");
    expect([next.hasEntered(), next.isClosed()]).toEqual([false, false]);
    clock.ms += 1_000 / resetsPerSecond;
    expect((await next.entered).isClosed()).toBe(false);
  });

  it("have those closed that wait for longer, unread", async () => {
    const { open, start, clock, acted } = await guardedServer({ resetsPerSecond });
    const first = await open();
    resets(first, 3 * burst); // what comes behind the close is owed
    await first.closed;
    const next = start();
    next.socket.write("GET / HTTP/1.1\r\n\r\n");
    await open("127.0.0.2");
    clock.ms += shutWaitMs - 11; // those of another network took 10 of it
    await open("127.0.0.2");
    expect(next.isClosed()).toBe(false);
    clock.ms += 11;
    await next.closed;
    expect([next.hasEntered(), acted]).toEqual([false, ["resets 127.0.0.1", "resets 127.0.0.1"]]);
  });

  it("are not renewed by a connection that comes back", async () => {
    const { open, counts } = await guardedServer({ resetsPerSecond });
    for (let times = 1; times < burst; times += 1) {
      const each = await open();
      resets(each, 1);
      each.socket.end();
      await eventually(() => expect(counts().strangers).toBe(0));
    }
    const last = await open();
    resets(last, 1);
    await last.closed;
  });

  it("cost nothing where addresses have no budgets", async () => {
    const { open, acted, counts } = await guardedServer({ resetsPerSecond, byAddress: false });
    const those = [await open(), await open()];
    for (const each of those) resets(each, 10 * burst);
    refuse(those[0]!, 10_000);
    await open();
    expect([acted, counts().strangers]).toEqual([[], 3]);
  });

  it("are those of an IPv4 address, by a socket of IPv6 too; and those of the /64 of IPv6", async () => {
    const { open, acted } = await guardedServer({ resetsPerSecond }, "::");
    const [mapped, other, six] = [await open("127.0.0.1"), await open("127.0.0.2"), await open("::1")];
    for (const each of [mapped, six]) resets(each, burst);
    await Promise.all([mapped.closed, six.closed]);
    expect([acted, other.isClosed()]).toEqual([["resets 127.0.0.1", "resets 0:0:0:0::/64"], false]);
  });
});

describe("a caller's connection", () => {
  it("has a budget of its own, and ends beyond it", async () => {
    const { open, openCaller, acted } = await guardedServer({ resetsPerSecond });
    const [one, other] = [await openCaller(), await openCaller()];
    const stranger = await open("127.0.0.2");
    resets(one, burst - 1);
    resets(other, burst - 1);
    expect(acted).toEqual([]);
    resets(one, 1);
    await one.closed;
    expect([other.isClosed(), stranger.isClosed(), acted]).toEqual([false, false, ["resets 127.0.0.1 caller"]]);
  });

  it("beyond it shuts its network to strangers, and not to callers that are there", async () => {
    const { open, openCaller, start, clock, counts } = await guardedServer({ resetsPerSecond });
    const [one, other, stranger] = [await openCaller(), await openCaller(), await open()];
    resets(one, burst);
    await Promise.all([one.closed, stranger.closed]);
    const next = start();
    await open("127.0.0.2");
    expect([other.isClosed(), next.hasEntered(), counts().callers]).toEqual([false, false, 1]);
    clock.ms += 1_000 / resetsPerSecond;
    await next.entered;
  });

  it("has its budget back as time passes", async () => {
    const { openCaller, clock } = await guardedServer({ resetsPerSecond });
    const caller = await openCaller();
    for (let second = 0; second < 20; second += 1) {
      resets(caller, 1);
      clock.ms += 1_000 / resetsPerSecond;
    }
    expect(caller.isClosed()).toBe(false);
  });

  it("does not pay for strangers of its network, nor they for it", async () => {
    const { open, openCaller, acted } = await guardedServer({ resetsPerSecond });
    const [caller, stranger] = [await openCaller(), await open()];
    resets(caller, burst - 1);
    resets(stranger, burst - 1);
    expect(acted).toEqual([]);
    resets(stranger, 1);
    await stranger.closed;
    expect(caller.isClosed()).toBe(false);
  });
});

describe("calls that a connection begins in a turn of the loop", () => {
  it.each(["caller", "stranger"])("are so many at most, of a %s's", async (who) => {
    const { open, openCaller, acted } = await guardedServer();
    const client = await (who === "caller" ? openCaller() : open());
    const { connection } = client;
    for (let turn = 0; turn < 3; turn += 1) {
      for (let calls = 0; calls < mostCallsInTurn; calls += 1) connection.began();
      for (let calls = 0; calls < mostCallsInTurn; calls += 1) connection.ended();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(acted).toEqual([]);
    for (let calls = 0; calls <= mostCallsInTurn; calls += 1) connection.began();
    await client.closed;
    expect(acted).toEqual([`resets 127.0.0.1${who === "caller" ? " caller" : ""}`]);
  });

  it("beyond that shut the network of a stranger, that waits with what it opens next", async () => {
    const { open, start, clock } = await guardedServer({ resetsPerSecond });
    const [first, other] = [await open(), await open()];
    for (let calls = 0; calls <= mostCallsInTurn; calls += 1) first.connection.began();
    await Promise.all([first.closed, other.closed]);
    const next = start();
    await open("127.0.0.2");
    expect(next.hasEntered()).toBe(false);
    clock.ms += 1_000 / resetsPerSecond;
    await next.entered;
  });
});

describe("the work of a caller beside its calls", () => {
  it("is what it sends to no call, and closes its connection and the strangers of its network", async () => {
    const { open, openCaller, start, acted, clock } = await guardedServer();
    const [caller, sends] = [await openCaller(), await openCaller()];
    const [stranger, elsewhere] = [await open(), await open("127.0.0.2")];
    sends.socket.write(Buffer.alloc(500_000 + 64)); // half a microsecond each, and 250 ms may come at once
    await sends.closed;
    await stranger.closed;
    expect(acted).toEqual(["header_work 127.0.0.1 caller", "header_work 127.0.0.1"]);
    expect([caller.isClosed(), elsewhere.isClosed()]).toEqual([false, false]);
    caller.socket.write(Buffer.alloc(500_000 + 64));
    await caller.closed;
    const next = start();
    await open("127.0.0.2");
    expect(next.hasEntered()).toBe(false);
    clock.ms += 10_000;
    await next.entered;
  });

  it("is nothing that calls account for", async () => {
    const { openCaller, acted } = await guardedServer();
    const { connection, socket, closed } = await openCaller();
    for (let calls = 0; calls < 20; calls += 1) {
      connection.began();
      connection.received(30_000);
      connection.cutOff();
    }
    socket.end(Buffer.alloc(20 * (30_000 + 128 + 16 * 1024 + 64 * 1024)));
    await closed;
    expect(acted).toEqual([]);
  });
});

describe("the work of strangers", () => {
  it("is that of refused calls, and what they send", async () => {
    const { open, acted } = await guardedServer({ headerWorkMs: 10 });
    const refused = await open();
    refuse(refused, 10 / refusalMs);
    await refused.closed;
    const sends = await open("127.0.0.2");
    sends.socket.write(Buffer.alloc(freeBytes + 40_000)); // half a microsecond each
    await sends.closed;
    expect(acted).toEqual(["header_work 127.0.0.1", "header_work 127.0.0.2"]);
  });

  it("is not what waits to be read as a body, nor the first bytes", async () => {
    const { open, acted } = await guardedServer({ headerWorkMs: 10 });
    const { connection, socket, closed } = await open();
    connection.carried(100_000);
    socket.end(Buffer.alloc(100_000 + freeBytes));
    await closed; // by the server, once it has read all
    expect(acted).toEqual([]);
  });

  it("is given back once one of them calls with a grant", async () => {
    const { open, acted } = await guardedServer({ headerWorkMs: 10 });
    const most = Math.floor((10 - 3 * connectingMs.plain - 1) / refusalMs);
    for (let times = 0; times < 3; times += 1) {
      const client = await open();
      refuse(client, most);
      client.connection.called();
    }
    expect(acted).toEqual([]);
    refuse(await open(), most);
    refuse(await open(), 1);
    expect(acted).toEqual(["header_work 127.0.0.1", "header_work 127.0.0.1"]);
  });

  it("is counted once for a connection that is answered what is open, and little an answer", async () => {
    const { open, acted } = await guardedServer({ headerWorkMs: 10 });
    const { connection } = await open();
    for (let answers = 0; answers < 150; answers += 1) connection.answered();
    expect(acted).toEqual([]);
  });
});
