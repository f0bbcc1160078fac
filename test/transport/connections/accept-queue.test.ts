/** The accept queue, in which new connections wait. Real sockets, paused as a server's are; networks are those that the test names. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  createAcceptQueue,
  type AcceptQueueParts,
  shutWaitMs,
  perTurn,
} from "../../../src/transport/connections/accept-queue.ts";

interface Pair {
  client: Socket;
  server: Socket;
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function connections(count: number): Promise<Pair[]> {
  const listening = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(listening, "listening");
  const { port } = listening.address() as AddressInfo;
  const pairs: Pair[] = [];
  for (let n = 0; n < count; n += 1) {
    const client = connect(port, "127.0.0.1").on("error", () => {});
    const [server] = (await once(listening, "connection")) as [Socket];
    pairs.push({ client, server });
  }
  onTestFinished(() => {
    for (const { client, server } of pairs) for (const each of [client, server]) each.destroy();
    listening.close();
  });
  return pairs;
}

/** An accept queue, who came in by it, and whose waiting was in vain. */
async function acceptQueueOf(count: number, parts: Partial<AcceptQueueParts> = {}) {
  const clock = { ms: 0 };
  const [entered, gaveUp]: [string[], string[]] = [[], []];
  const shut = new Set<string>();
  const pairs = await connections(count);
  const acceptQueue = createAcceptQueue({
    isOpen: (network) => !shut.has(network),
    isShut: (network) => shut.has(network),
    maxWaiting: 100,
    gaveUp: (network) => void gaveUp.push(network),
    now: () => clock.ms,
    ...parts,
  });
  onTestFinished(() => acceptQueue.close());
  let used = 0;
  /** Has the next connection arrive, from the network that its name begins with. */
  const arrive = (name: string): Pair => {
    const pair = pairs[used++]!;
    acceptQueue.arrive(pair.server, name[0]!, () => void entered.push(name));
    return pair;
  };
  const arriveAll = (...names: string[]) => names.map(arrive);
  return { clock, entered, gaveUp, shut, acceptQueue, arrive, arriveAll };
}

describe("new connections", () => {
  it("come in some at a turn of the loop, in the order in which they came", async () => {
    const { entered, arriveAll } = await acceptQueueOf(5);
    arriveAll("a1", "a2", "a3", "a4", "a5");
    expect(entered).toEqual(["a1", "a2"]);
    expect(perTurn).toBe(2);
    await nextTurn();
    expect(entered).toEqual(["a1", "a2", "a3", "a4"]);
    await nextTurn();
    expect(entered).toEqual(["a1", "a2", "a3", "a4", "a5"]);
  });

  it("of a network do not wait for all those of another", async () => {
    const { entered, arriveAll } = await acceptQueueOf(8);
    arriveAll("a1", "a2", "a3", "a4", "a5", "a6", "b1", "b2");
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    expect(entered).toEqual(["a1", "a2", "a3", "b1", "a4", "b2", "a5", "a6"]);
  });

  it("that would wait beyond the limit for a turn are closed", async () => {
    const { entered, gaveUp, arriveAll } = await acceptQueueOf(6, { maxWaiting: 2 });
    const pairs = arriveAll("a1", "a2", "a3", "b1", "c1");
    expect([gaveUp, pairs.map(({ server }) => server.destroyed)]).toEqual([["c"], [false, false, false, false, true]]);
    await nextTurn();
    arriveAll("c2");
    await nextTurn();
    expect(entered).toEqual(["a1", "a2", "a3", "b1", "c2"]);
  });
});

describe("a network that is shut", () => {
  it("waits, unread, and comes in with the looks after that, one at each", async () => {
    const { entered, acceptQueue, shut, arriveAll } = await acceptQueueOf(4);
    shut.add("a");
    const [first] = arriveAll("a1", "a2", "b1", "a3");
    first!.client.write("hello");
    acceptQueue.look();
    expect([entered, acceptQueue.waiting(), first!.server.bytesRead]).toEqual([["b1"], 3, 0]);
    shut.delete("a");
    for (let looks = 1; looks <= 3; looks += 1) {
      acceptQueue.look();
      await nextTurn();
      expect([entered.length, acceptQueue.waiting()]).toEqual([1 + looks, 3 - looks]);
    }
    expect(entered).toEqual(["b1", "a1", "a2", "a3"]);
  });

  it("keeps its order though it opened since", async () => {
    const { entered, acceptQueue, shut, arriveAll } = await acceptQueueOf(3);
    shut.add("a");
    arriveAll("a1", "a2");
    shut.delete("a");
    arriveAll("a3");
    for (let looks = 1; looks <= 3; looks += 1) {
      acceptQueue.look();
      await nextTurn();
    }
    expect(entered).toEqual(["a1", "a2", "a3"]);
  });

  it("keeps its order though one before took what it had", async () => {
    let room = 0;
    const { entered, acceptQueue, arriveAll } = await acceptQueueOf(5, {
      isOpen: (network) => network === "b" || room > 0,
    });
    arriveAll("a1", "a2", "a3");
    arriveAll("b1", "b2"); // the turn is used up
    room = 1;
    acceptQueue.look();
    acceptQueue.look();
    room = 0;
    await nextTurn();
    expect([entered, acceptQueue.waiting()]).toEqual([["b1", "b2"], 3]);
    room = 1;
    for (let looks = 1; looks <= 3; looks += 1) {
      acceptQueue.look();
      await nextTurn();
    }
    expect(entered).toEqual(["b1", "b2", "a1", "a2", "a3"]);
  });

  it("is given up after a while, the oldest first", async () => {
    const { entered, gaveUp, acceptQueue, shut, clock, arrive } = await acceptQueueOf(3);
    shut.add("a");
    const first = arrive("a1");
    clock.ms = 1_000;
    const second = arrive("a2");
    clock.ms = shutWaitMs - 1;
    acceptQueue.look();
    expect([gaveUp, first.server.destroyed]).toEqual([[], false]);
    clock.ms = shutWaitMs;
    acceptQueue.look();
    expect([gaveUp, first.server.destroyed, second.server.destroyed]).toEqual([["a"], true, false]);
    clock.ms = shutWaitMs + 1_000;
    acceptQueue.look();
    expect([gaveUp, acceptQueue.waiting(), entered]).toEqual([["a", "a"], 0, []]);
  });

  it("has those closed that would wait beyond the limit, and others come in", async () => {
    const { entered, gaveUp, shut, acceptQueue, arriveAll } = await acceptQueueOf(4, { maxWaiting: 2 });
    shut.add("a");
    const pairs = arriveAll("a1", "a2", "a3", "b1");
    expect([gaveUp, entered, acceptQueue.waiting()]).toEqual([["a"], ["b1"], 2]);
    expect(pairs.map(({ server }) => server.destroyed)).toEqual([false, false, true, false]);
  });
});

describe("a client that leaves while it waits", () => {
  it("is not let in if that is known, and the next one is", async () => {
    const { entered, shut, acceptQueue, arriveAll } = await acceptQueueOf(2);
    shut.add("a");
    const [first] = arriveAll("a1", "a2");
    const closed = new Promise((resolve) => first!.server.once("close", resolve));
    first!.server.destroy(new Error("read ECONNRESET")); // as by the kernel
    await closed;
    shut.delete("a");
    for (let looks = 1; looks <= 2; looks += 1) {
      acceptQueue.look();
      await nextTurn();
    }
    expect([entered, acceptQueue.waiting()]).toEqual([["a2"], 0]);
  });

  it("harms nothing if it is not, as nothing is read of it", async () => {
    const { entered, shut, acceptQueue, arriveAll } = await acceptQueueOf(2);
    shut.add("a");
    const [first, second] = arriveAll("a1", "a2");
    first!.client.resetAndDestroy();
    second!.client.end();
    await once(first!.client, "close");
    shut.delete("a");
    for (let looks = 1; looks <= 2; looks += 1) {
      acceptQueue.look();
      await nextTurn();
    }
    expect(entered.at(-1)).toBe("a2");
    expect(acceptQueue.waiting()).toBe(0);
  });
});

it("all that wait are closed at the end", async () => {
  const { shut, acceptQueue, arriveAll } = await acceptQueueOf(2);
  shut.add("a").add("b");
  const pairs = arriveAll("a1", "b1");
  acceptQueue.close();
  expect(pairs.map(({ server }) => server.destroyed)).toEqual([true, true]);
});
