/** Bounds on connections, of both servers together. */
export interface ConnectionSettings {
  readonly max: number;
  /** 0 for none. */
  readonly maxPerAddress: number;
  /** Time in which somebody with a grant calls. */
  readonly firstCallMs: number;
  /** Time without a call after which a connection is closed. */
  readonly idleMs: number;
  /** Streams that the clients of an address may reset in a second; a connection of a caller has as many of its own. */
  readonly resetsPerSecond: number;
  /** CPU that strangers of an address may cost in 10 s, in milliseconds. */
  readonly headerWorkMs: number;
  /** Whether addresses have budgets. Behind a proxy that speaks TLS for the service all clients have one. */
  readonly byAddress: boolean;
}

/** Bounds on strangers, which no setting changes: none of them costs a caller with a grant anything. */
export const strangerBounds = {
  firstCallMs: 30_000,
  resetsPerSecond: 200,
  headerWorkMs: 1_000,
} as const satisfies Partial<ConnectionSettings>;
