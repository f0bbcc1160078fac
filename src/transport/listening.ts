/** Where and how a server listens. */
import type { Time } from "../runtime/time.ts";
import type { Connections } from "./connections/connections.ts";
import type { Tls } from "./tls.ts";

/** A server that is bound. */
export interface Listening extends AsyncDisposable {
  port: number;
  /** `host:port` */
  address: string;
  /** Takes no new call and ends when those that run are answered, at the latest after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Address that a server is bound to, and how it serves there. */
export interface Binding {
  host: string;
  /** The system chooses one for 0. */
  port: number;
  tls: Tls | undefined;
  /** Whether clients are asked for a certificate. */
  requestCert: boolean;
  /** The connections of both servers. */
  connections: Connections;
  /** How long calls have to end when the server is disposed of. */
  graceMs: number;
  time: Time;
}

export function listening({ host, graceMs }: Binding, port: number, close: Listening["close"]): Listening {
  return { port, address: authority(host, port), close, [Symbol.asyncDispose]: () => close(graceMs) };
}

export function authority(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
