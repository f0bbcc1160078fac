/** A connection of either server: what is known of it from before its TLS on, and how it ends. */
import type { Socket } from "node:net";
import { loopTurn } from "../../runtime/turns/loop.ts";
import type { ConnectionLimitName } from "../../limits/log.ts";
import type { TokenBucket } from "../../limits/token-bucket.ts";
import type { AddressBudget } from "./address-budgets.ts";
import { answerMs, byteMs, callBytes, chunkBytes, freeBytes, refusalMs, slowBodyMs, unreadBytes } from "./costs.ts";

export type Protocol = "grpc" | "http";

/** Both ends of a connection, which its sockets above and below TLS share. */
export type Ends = Pick<Socket, "remoteAddress" | "remotePort" | "localPort">;

export function keyOf({ remoteAddress, remotePort, localPort }: Ends): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}

export interface Connection {
  readonly network: string;
  hasCaller(): boolean;
  /** Somebody with a grant calls, or is known by the handshake. */
  called(): void;
  /** A call begins, whoever makes it; and ends. */
  began(): void;
  ended(): void;
  /** Those that are open. */
  calls(): number;
  /** A stranger is answered what is open to everybody. */
  answered(): void;
  /** A call is refused at the door. */
  refused(): void;
  /** A call is reset at once, as its headers are larger than they may be. */
  exceeded(): void;
  /** So much of what arrived is of a body that waits to be read. */
  carried(bytes: number): void;
  /** A call of gRPC got so much of its body. */
  received(bytes: number): void;
  /** A call of gRPC is over before its client has sent all of it: what is under way still will belong to none. */
  cutOff(): void;
  /** The client has reset a stream. */
  wasReset(): void;
  /** Has `end` close it in order, once, so that a client loses no call; and `kill` let nothing more of it be looked at. */
  endBy(end: () => void, kill: () => void): void;
  /** Whether it is to end with its next answer. */
  isEnding(): boolean;
  /** Its request is given up, since it arrives too slowly. */
  tooSlow(): void;
}

/** What a connection has the registry of all do. */
export interface Registry {
  now(): number;
  /** It is no stranger's any more. */
  hasCaller(connection: OpenConnection): void;
  /** Counts what a stranger costs; below 0, what it has not cost. */
  charge(connection: OpenConnection, budget: AddressBudget, units: number): void;
  /** A client reset a stream. */
  reset(): void;
  /** A connection has had more of a budget than it may. */
  overran(connection: OpenConnection, budget: AddressBudget): void;
  /** It is closed by a limit. */
  closing(connection: OpenConnection, limit: ConnectionLimitName): void;
}

export interface OpenConnectionParts {
  socket: Socket;
  protocol: Protocol;
  network: string;
  /** What it costs until its first call. */
  connectingMs: number;
  /** Resets that it may have once it has a caller; */
  ownResets: TokenBucket;
  /** and milliseconds of CPU that what it sends beside its calls may cost. */
  ownWork: TokenBucket;
}

/** Calls that a connection may begin in a turn of the event loop. */
export const mostCallsInTurn = 200;
/** Bytes under way on a connection of gRPC: with the 64 KiB of HTTP/2 its streams, which have 64 KiB each, would wait for each other's round trips. */
export const connectionWindowBytes = 1024 * 1024;

/**
 * A class, because there are thousands, and some of it is asked at each call. It is one piece, because what a connection has cost decides
 * how it ends: first what its servers tell of it, then what the registry asks of it every 10 ms to 1 s, then what both come to.
 */
export class OpenConnection implements Connection {
  readonly socket: Socket;
  /** Text of its ends, which a socket that is closed does not know. */
  readonly key: string;
  readonly protocol: Protocol;
  readonly network: string;
  readonly openedMs: number;
  readonly #registry: Registry;
  readonly #connectingMs: number;
  readonly #ownResets: TokenBucket;
  readonly #ownWork: TokenBucket;
  #end: (() => void) | undefined;
  #kill: (() => void) | undefined;
  #isEnding = false;
  #closedBy: ConnectionLimitName | undefined;
  #hasCaller = false;
  #hasAnswer = false;
  #calls = 0;
  #turn = 0;
  #callsInTurn = 0;
  #movedMs: number;
  #pricedBytes = freeBytes;
  #paidMs = 0;
  #weighedBytes = 0;
  /** Bytes that calls account for since the last look at a caller's connection; */
  #callsBytes = 0;
  /** and that may still come of those that were cut off. */
  #underWayBytes = 0;

  constructor(parts: OpenConnectionParts, registry: Registry) {
    const { socket, protocol, network, connectingMs, ownResets, ownWork } = parts;
    this.socket = socket;
    this.key = keyOf(socket);
    this.protocol = protocol;
    this.network = network;
    this.#connectingMs = connectingMs;
    this.#ownResets = ownResets;
    this.#ownWork = ownWork;
    this.#registry = registry;
    this.openedMs = registry.now();
    this.#movedMs = this.openedMs;
  }

  hasCaller(): boolean {
    return this.#hasCaller;
  }

  isEnding(): boolean {
    return this.#isEnding;
  }

  endBy(end: () => void, kill: () => void): void {
    this.#end = end;
    this.#kill = kill;
    if (this.#isEnding) end();
  }

  /** Counts what it costs until its first call. */
  connects(): void {
    this.#pay(this.#connectingMs);
  }

  called(): void {
    if (this.#hasCaller) return;
    this.#hasCaller = true;
    this.#weighedBytes = this.socket.bytesRead;
    this.#registry.hasCaller(this);
    this.#payBack(this.#paidMs);
  }

  began(): void {
    this.#calls += 1;
    this.#callsBytes += callBytes;
    const turn = loopTurn();
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#callsInTurn = 0;
    }
    this.#callsInTurn += 1;
    // Clients may have half as many open at once: they reset those before. It shows before the resets do, which are read behind them.
    if (this.#callsInTurn > mostCallsInTurn) this.#overrun("resets");
  }

  calls(): number {
    return this.#calls;
  }

  ended(): void {
    this.#calls -= 1;
    if (this.#calls > 0) return;
    this.#movedMs = this.#registry.now();
  }

  answered(): void {
    if (this.#hasCaller) return;
    if (!this.#hasAnswer) this.#payBack(this.#connectingMs);
    this.#hasAnswer = true;
    this.#pay(answerMs);
  }

  refused(): void {
    if (!this.#hasCaller) this.#pay(refusalMs);
  }

  exceeded(): void {
    if (this.#hasCaller) this.#payItself(refusalMs);
    else this.#pay(refusalMs);
  }

  carried(bytes: number): void {
    this.#pricedBytes += bytes;
    this.received(bytes);
  }

  received(bytes: number): void {
    this.#callsBytes += bytes + chunkBytes;
  }

  cutOff(): void {
    this.#underWayBytes += unreadBytes;
  }

  wasReset(): void {
    this.#callsBytes += callBytes;
    this.#registry.reset();
    if (!this.#hasCaller) {
      this.#registry.charge(this, "resets", 1);
      return;
    }
    this.#ownResets.take();
    if (this.#ownResets.waitMs() > 0) this.#overrun("resets");
  }

  /** A stranger has so long to call. With something open still that is open to everybody, as a watch of the health, it has the time once more. */
  hurry(patienceMs: number): void {
    const ageMs = this.#registry.now() - this.openedMs;
    if (ageMs >= 2 * patienceMs) this.destroy("first_call");
    else if (ageMs >= patienceMs) this.end("first_call");
  }

  /** Ends it if it has had no call for long; one that has ended is closed if its client does not. */
  rest(idleMs: number, lingerMs: number): void {
    if (this.#calls > 0) return;
    const restMs = this.#registry.now() - this.#movedMs;
    if (!this.#isEnding && restMs >= idleMs) this.end("idle");
    else if (this.#isEnding && restMs >= lingerMs) this.socket.destroy();
  }

  /** Counts what a stranger has sent since the last look. */
  look(): void {
    const more = this.socket.bytesRead - this.#pricedBytes;
    if (more <= 0) return;
    this.#pricedBytes += more;
    this.#pay(more * byteMs[this.protocol]);
  }

  /**
   * Counts what a caller has sent since the last such look beyond its calls, and closes the connection of one that sends too much of it. What calls
   * account for is too much rather than too little, so none of it is left for the next time. What is under way on streams that were cut off may take
   * seconds on a slow line, but is no more than a connection has room for.
   */
  weigh(): void {
    const { bytesRead } = this.socket;
    const more = Math.max(0, bytesRead - this.#weighedBytes - this.#callsBytes);
    const known = Math.min(more, this.#underWayBytes);
    this.#weighedBytes = bytesRead;
    this.#callsBytes = 0;
    this.#underWayBytes = Math.min(this.#underWayBytes - known, connectionWindowBytes);
    if (more > known) this.#payItself((more - known) * byteMs[this.protocol]);
  }

  /** Closes it in order. */
  end(limit: ConnectionLimitName): void {
    if (this.#isEnding || this.#closedBy !== undefined) return;
    this.#isEnding = true;
    this.#movedMs = this.#registry.now();
    this.#registry.closing(this, limit);
    if (this.#end !== undefined) this.#end();
    else if (this.#calls === 0) this.socket.destroy();
  }

  tooSlow(): void {
    this.#registry.closing(this, "bodies");
    // Whoever it is: it would connect again, and send the next.
    this.#registry.charge(this, "header_work", slowBodyMs);
  }

  destroy(limit: ConnectionLimitName): void {
    if (this.#closedBy !== undefined) return;
    this.#closedBy = limit;
    if (!this.#isEnding) this.#registry.closing(this, limit);
    this.#kill?.();
    this.socket.destroy();
  }

  #overrun(budget: AddressBudget): void {
    if (this.#closedBy !== undefined) return;
    this.destroy(budget);
    this.#registry.overran(this, budget);
  }

  #pay(ms: number): void {
    this.#paidMs += ms;
    this.#registry.charge(this, "header_work", ms);
  }

  /** Counts what a caller's connection costs. */
  #payItself(ms: number): void {
    this.#ownWork.take(ms);
    if (this.#ownWork.waitMs() > 0) this.#overrun("header_work");
  }

  #payBack(ms: number): void {
    this.#paidMs -= ms;
    this.#registry.charge(this, "header_work", -ms);
  }
}
