/**
 * The door of HTTP/1.1: a request's caller is known before its route is looked for and its body read. Who is refused is told so in the
 * protocol of the request, and its connection ends.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Caller } from "../../call/context.ts";
import type { MaybePromise } from "../../call/maybe-promise.ts";
import type { KmsError } from "../../errors.ts";
import type { Time } from "../../runtime/time.ts";
import { anyone, type Door, type Open, type Peering, shownBy, stranger } from "../authenticate.ts";
import type { Exchange } from "./caller-context.ts";

export interface HttpDoor extends Pick<Door, "isOpen"> {
  /** Who asks for what is not open. Throws as {@link Door.enter} does. */
  enter(request: IncomingMessage): MaybePromise<Caller>;
  /** Whom no rule names as well. */
  identify(request: IncomingMessage): MaybePromise<Caller>;
  /** As {@link Door.count}. */
  count(request: IncomingMessage, refused?: KmsError): void;
  /** SHA-256 of the policy in force; undefined without one. */
  policySha256(): string | undefined;
  /** The caller of what is open; undefined where credentials are asked for. */
  openCaller(what: Open | undefined): Caller | undefined;
  /** What a refused caller has shown, for the log. */
  shownBy(request: IncomingMessage): Readonly<Record<string, string>>;
  /** Whether the other end of a connection is known by its certificate, and some rule names it. */
  isKnown(socket: Socket): boolean;
  /** Whether a connection should end with its next answer, so that the caller comes back on another. */
  isEnding(request: IncomingMessage): boolean;
}

export function httpDoor(door: Door | undefined, time: Time): HttpDoor {
  if (door === undefined) {
    const everybody = () => anyone;
    return {
      enter: everybody,
      identify: everybody,
      openCaller: everybody,
      isOpen: () => true,
      isEnding: () => false,
      isKnown: () => false,
      policySha256: () => undefined,
      shownBy: () => ({}),
      count() {},
    };
  }
  const connections = new WeakMap<Socket, Peering>();
  const peeringOf = (socket: Socket): Peering => {
    let connection = connections.get(socket);
    if (connection === undefined) {
      connection = door.connect(socket);
      connections.set(socket, connection);
    }
    return connection;
  };
  const connectionOf = ({ socket }: IncomingMessage) => peeringOf(socket);
  return {
    isKnown: (socket) => peeringOf(socket).isKnown(),
    enter: (request) => door.enter(connectionOf(request), authorizationOf(request)),
    identify: (request) => door.identify(connectionOf(request), authorizationOf(request)),
    openCaller: (what) => (what !== undefined && door.isOpen(what) ? stranger : undefined),
    isOpen: door.isOpen,
    count: (request, refused) => door.count(connectionOf(request), authorizationOf(request), refused),
    policySha256: door.policySha256,
    shownBy: (request) => shownBy(connectionOf(request), authorizationOf(request)),
    isEnding: (request) => connectionOf(request).closesMs() <= time.now().getTime(),
  };
}

/** All that a request has; the object of headers has the first of several. */
function authorizationOf({ headersDistinct }: IncomingMessage): readonly string[] {
  return headersDistinct.authorization ?? [];
}

/** Time for which what still comes after a refusal is thrown away, */
const lingerMs = 1_000;
/** and so much of it: a client that writes first would see a broken pipe in place of its answer. */
const lingerBytes = 8 * 1024 * 1024;

/** Ends the connection behind an answer, whose request was not read. */
export function endBehind({ request, response, time }: Pick<Exchange, "request" | "response" | "time">): void {
  response.setHeader("connection", "close");
  const { socket } = request;
  const { destroySoon } = socket;
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > lingerBytes) socket.destroy();
  });
  // What node:http calls behind the last answer. Destroyed with a body on its way, the connection would be reset.
  socket.destroySoon = () => {
    const destroy = () => destroySoon.call(socket);
    if (request.complete) return destroy();
    socket.end();
    request.once("end", destroy);
    const timer = time.after(lingerMs, () => socket.destroy());
    socket.once("close", () => time.clear(timer));
  };
}
