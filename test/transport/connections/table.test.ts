/** How many connections there may be, and which of them makes way. Real sockets, on a clock that the test moves. */
import { describe, expect, it } from "vitest";
import { makesWayMs, strangersOfNetwork } from "../../../src/transport/connections/table.ts";
import { newMs } from "../../../src/transport/connections/strangers.ts";
import { eventually } from "../../support/eventually.ts";
import { type GuardedServer, guardedServer, type Let } from "../../support/guarded-server.ts";

const closed = (clients: readonly Let[]) => clients.map((each) => each.isClosed());

async function times<T>(count: number, work: () => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let n = 0; n < count; n += 1) all.push(await work());
  return all;
}

describe("where all that there may be are open", () => {
  it("the oldest stranger's goes for a new one, and no caller's", async () => {
    const { open, openCaller, acted, counts } = await guardedServer({ max: 8, maxPerAddress: 0 });
    const callers = await times(7, openCaller);
    const stranger = await open();
    const newcomer = await open();
    await stranger.closed;
    expect([acted, counts()]).toEqual([["max 127.0.0.1"], { callers: 7, strangers: 1 }]);
    expect([...closed(callers), newcomer.isClosed()]).not.toContain(true);
  });

  it("the new one goes if all have callers", async () => {
    const { open, openCaller, start, acted, counts, clock } = await guardedServer({ max: 4 });
    const callers = await times(4, openCaller);
    clock.ms += newMs;
    const newcomer = start();
    await newcomer.closed;
    expect([newcomer.hasEntered(), acted, counts()]).toEqual([
      ...[false, ["max 127.0.0.1 caller"]],
      { callers: 4, strangers: 0 },
    ]);
    expect(closed(callers)).not.toContain(true);
    callers[0]!.socket.end();
    await eventually(() => expect(counts().callers).toBe(3));
    expect((await open()).isClosed()).toBe(false);
  });
});

describe("strangers", () => {
  it("have a quarter of all, and the oldest of them makes way for the next", async () => {
    const { open, acted, counts } = await guardedServer({ max: 12 });
    const first = await times(3, open);
    await open("127.0.0.2");
    await first[0]!.closed;
    expect([closed(first), acted, counts().strangers]).toEqual([[true, false, false], ["max 127.0.0.1"], 3]);
  });

  it("may be one at least, however few there may be in all", async () => {
    const { open, counts } = await guardedServer({ max: 1 });
    const first = await open();
    const second = await open("127.0.0.2");
    await first.closed;
    expect([second.isClosed(), counts().strangers]).toEqual([false, 1]);
  });

  it("are no part of that once they call, or are closed", async () => {
    const { open, acted, counts } = await guardedServer({ max: 8 });
    const [one, two] = await times(2, open);
    one!.connection.called();
    two!.socket.end();
    await eventually(() => expect(counts().strangers).toBe(0));
    await times(2, open);
    expect([acted, counts()]).toEqual([[], { callers: 1, strangers: 2 }]);
  });

  it(`of a network are ${strangersOfNetwork}, and the oldest of that network makes way`, async () => {
    const { open, start, acted, counts, clock } = await guardedServer();
    const elsewhere = await open("127.0.0.2"); // older than all of them
    const those = await times(strangersOfNetwork, open);
    expect([acted, counts().strangers]).toEqual([[], strangersOfNetwork + 1]);
    const next = start();
    expect([next.hasEntered(), acted]).toEqual([false, []]);
    clock.ms += makesWayMs;
    await next.entered;
    await those[0]!.closed;
    expect([acted, elsewhere.isClosed(), closed(those.slice(1)).includes(true)]).toEqual([
      ...[["max 127.0.0.1"], false, false],
    ]);
    expect(counts().strangers).toBe(strangersOfNetwork + 1);
  });

  it("of a network come in one after the other, and those of others meanwhile", async () => {
    const { open, start, clock } = await guardedServer();
    await open();
    const next = start();
    const elsewhere = await start("127.0.0.2").entered;
    expect([elsewhere.isClosed(), next.hasEntered(), next.isClosed()]).toEqual([false, false, false]);
    clock.ms += newMs;
    expect((await next.entered).isClosed()).toBe(false);
  });

  it("of a network need not wait for one that calls", async () => {
    const { open, start } = await guardedServer();
    const first = await open();
    const next = start();
    await start("127.0.0.2").entered;
    expect(next.hasEntered()).toBe(false);
    first.connection.called();
    expect((await next.entered).isClosed()).toBe(false);
  });

  it("of an address without bounds are as many as there may be, and come in at once", async () => {
    const { start, acted, counts } = await guardedServer({ byAddress: false });
    await Promise.all(Array.from({ length: strangersOfNetwork + 8 }, () => start().entered));
    expect([acted, counts().strangers]).toEqual([[], strangersOfNetwork + 8]);
  });
});

describe("the connections of an address", () => {
  async function full(server: GuardedServer): Promise<Let[]> {
    return [await server.openCaller(), await server.open(), await server.open()];
  }

  it("have the oldest of its strangers' closed for a new one, and none of another address", async () => {
    const server = await guardedServer({ maxPerAddress: 3 });
    const elsewhere = await server.open("127.0.0.2");
    const those = await full(server);
    await server.open();
    await those[1]!.closed;
    expect([closed(those), elsewhere.isClosed()]).toEqual([[false, true, false], false]);
    expect(server.acted).toEqual(["max_per_address 127.0.0.1"]);
  });

  it("have the new one closed if all have callers, and another address is served", async () => {
    const { openCaller, start, open, clock, acted } = await guardedServer({ maxPerAddress: 2 });
    const callers = await times(2, openCaller);
    clock.ms += newMs;
    const newcomer = start();
    await newcomer.closed;
    expect([newcomer.hasEntered(), closed(callers), acted]).toEqual([
      ...[false, [false, false]],
      ["max_per_address 127.0.0.1 caller"],
    ]);
    expect((await open("127.0.0.2")).isClosed()).toBe(false);
  });

  it("are not bounded by 0", async () => {
    const { openCaller, counts, acted } = await guardedServer({ maxPerAddress: 0 });
    await times(40, openCaller);
    expect([counts(), acted]).toEqual([{ callers: 40, strangers: 0 }, []]);
  });
});

describe("a network", () => {
  it("is the IPv4 address, by a socket of IPv6 too; and the /64 of IPv6", async () => {
    const { open } = await guardedServer({}, "::");
    expect((await open("127.0.0.3")).connection.network).toBe("127.0.0.3");
    expect((await open("::1")).connection.network).toBe("0:0:0:0::/64");
  });
});
