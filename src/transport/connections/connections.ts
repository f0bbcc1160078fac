/**
 * Bounds on the connections of both servers, from before their TLS on: how many there are (table.ts), how they come in (accept-queue.ts), how long they
 * may say nothing, and what strangers may cost (address-budgets.ts).
 */
import type { Server, Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import type { ConnectionSettings } from "../../limits/connection-settings.ts";
import { networkOf } from "../../limits/network-of.ts";
import type { ConnectionLimitName } from "../../limits/log.ts";
import { type Rate, tokenBucket } from "../../limits/token-bucket.ts";
import { repeatWhile } from "./repeat-while.ts";
import type { Time } from "../../runtime/time.ts";
import { addressBudgets, resetRate, wholeBudgets, workRate } from "./address-budgets.ts";
import { type ConnectionTable, createConnectionTable } from "./table.ts";
import { createAcceptQueue, type AcceptQueue } from "./accept-queue.ts";
import {
  type Connection,
  type Ends,
  OpenConnection,
  type OpenConnectionParts,
  type Protocol,
  type Registry,
} from "./open-connection.ts";
import { connectingMs } from "./costs.ts";

export interface Connections {
  /** Has the connections of a server bounded. Call when all that listens for them does. */
  guard(server: Server, protocol: Protocol): void;
  /** The connection that ends at a socket, or at one above its TLS. */
  of(socket: Ends): Connection | undefined;
  /** Resets that a connection with a caller may have. */
  resetsOfOne: Rate;
  /** Connections that are open. */
  open: ConnectionTable["counts"];
  /** Streams that clients have reset. */
  resets(): number;
  /** Closes those that wait to come in, as the servers take no more. */
  drain(): void;
  close(): void;
}

export interface ConnectionsParts {
  settings: ConnectionSettings;
  /** Told of each connection that a limit closes, with its network, and whether somebody with a grant had it. */
  acted(limit: ConnectionLimitName, network: string, hadCaller: boolean): void;
  time: Time;
}

type Arriving = Omit<OpenConnectionParts, "ownResets" | "ownWork">;

/** Part of their time that strangers have where there are many. */
export const hurry = 1 / 6;
/** A client has this long to close its side of a connection that ended in order. */
const lingerMs = 5_000;
const sweepMs = 1_000;
/** Time between two looks at what strangers have sent. */
const lookMs = 10;
/** Time between two looks at what callers have sent beside their calls. */
const weighMs = 100;

export function createConnections({ settings, acted, time }: ConnectionsParts): Connections {
  const now = time.monotonicMs;
  const budgets = settings.byAddress ? addressBudgets(settings, now) : undefined;
  const table = createConnectionTable({ ...settings, now });
  const { strangers } = table;
  let resets = 0;
  const sweeping = time.every(sweepMs, () => sweep(table, settings));
  const acceptQueue = createAcceptQueue({
    isOpen: (network) => budgets?.overrun(network) === undefined && table.isOpen(network),
    isShut: (network) => budgets?.overrun(network) !== undefined,
    maxWaiting: settings.max,
    gaveUp: (network) => acted(budgets?.overrun(network) ?? "max", network, false),
    now,
  });

  const looks = repeatWhile(time, lookMs, () => look(strangers, acceptQueue));
  const weighing = repeatWhile(time, weighMs, () => weigh(table));

  const registry: Registry = {
    now,
    hasCaller(connection) {
      table.hasCaller(connection);
      weighing.start();
      acceptQueue.look();
    },
    charge({ network }, budget, units) {
      budgets?.take(network, budget, units);
      if (units > 0 && budgets?.overrun(network) !== undefined) shut(network, budget);
    },
    reset() {
      resets += 1;
    },
    overran: (connection, budget) => registry.charge(connection, budget, wholeBudgets(settings)[budget]),
    closing: (connection, limit) => acted(limit, connection.network, connection.hasCaller()),
  };

  /** A network is over its budget. */
  function shut(network: string, limit: ConnectionLimitName): void {
    for (const stranger of strangers) if (stranger.network === network) stranger.destroy(limit);
  }

  function arrive(parts: Omit<Arriving, "network">, pass: () => void): void {
    const network = networkOf(parts.socket.remoteAddress!);
    acceptQueue.arrive(parts.socket, network, () => admit({ ...parts, network }, pass));
    looks.start();
  }

  function admit(parts: Arriving, pass: () => void): void {
    const { socket, network } = parts;
    const full = table.makeRoom(network);
    if (full !== undefined) {
      acted(full, network, true); // all that there may be are those of callers
      socket.destroy();
      return;
    }
    const connection = new OpenConnection({ ...parts, ...ownBudgets(settings, now) }, registry);
    table.add(connection);
    connection.connects();
    pass();
  }

  return {
    guard(server, protocol) {
      const cost = connectingMs[server instanceof TlsServer ? "secure" : "plain"];
      interceptConnections(server, (socket, pass) => arrive({ socket, protocol, connectingMs: cost }, pass));
    },
    of: table.of,
    resetsOfOne: resetRate(settings),
    open: table.counts,
    resets: () => resets,
    drain: acceptQueue.close,
    close() {
      time.clear(sweeping);
      looks.stop();
      weighing.stop();
      acceptQueue.close();
    },
  };
}

/** Closes those that have said nothing for too long. */
function sweep(table: ConnectionTable, { firstCallMs, idleMs }: ConnectionSettings): void {
  const patienceMs = table.isCrowded() ? firstCallMs * hurry : firstCallMs;
  for (const stranger of table.strangers) stranger.hurry(patienceMs);
  for (const connection of table.all) connection.rest(idleMs, lingerMs);
}

/** Counts what strangers have sent, and lets in who may come in by now, while there are any. */
function look(strangers: ConnectionTable["strangers"], acceptQueue: AcceptQueue): boolean {
  for (const stranger of strangers) stranger.look();
  acceptQueue.look();
  return strangers.size > 0 || acceptQueue.waiting() > 0;
}

/** Counts what callers have sent by gRPC beside their calls, while there are any. */
function weigh({ all, strangers }: ConnectionTable): boolean {
  for (const connection of all) if (connection.protocol === "grpc" && connection.hasCaller()) connection.weigh();
  return all.size > strangers.size;
}

function ownBudgets(
  settings: ConnectionSettings,
  now: () => number,
): Pick<OpenConnectionParts, "ownResets" | "ownWork"> {
  return { ownResets: tokenBucket(resetRate(settings), { now }), ownWork: tokenBucket(workRate(settings), { now }) };
}

/** Has each connection of a server seen before the server has it. Connections come paused: nothing is read of one until `pass` is called, and whoever listens now has it. */
function interceptConnections(server: Server, see: (socket: Socket, pass: () => void) => void): void {
  const listeners = server.listeners("connection");
  server.removeAllListeners("connection");
  (server as Server & { pauseOnConnect: boolean }).pauseOnConnect = true;
  server.on("connection", (socket) => {
    if (socket.remoteAddress === undefined) return socket.destroy(); // its client has gone meanwhile
    see(socket, () => {
      for (const listener of listeners) listener.call(server, socket);
      // What listens may have paused it by itself, as a server of TLS does not read it but what lies below.
      if (socket.isPaused()) socket.resume();
    });
  });
}
