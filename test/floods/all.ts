/** The floods, by name: which attack of the program each is, and with what options. */

export interface Flood {
  /** Its attack in the program. */
  attack: string;
  /** Whether it has the token of a caller with a grant. */
  authorized?: boolean;
  options?: Record<string, string | number>;
  /**
   * CPU of the service that it may take in 15 s, and in less, beyond that of the client that is measured. Such a flood takes it at once, so that calls
   * of this moment are late: the p99 is printed, and not judged.
   */
  mostCpuSeconds?: number;
}

export const floods: Readonly<Record<string, Flood>> = {
  handshakes: { attack: "handshakes" },
  resets: { attack: "resets" },
  "resets-authorized": { attack: "resets", authorized: true },
  continuation: { attack: "continuation" },
  settings: { attack: "settings" },
  "settings-deaf": { attack: "settings-deaf" },
  ping: { attack: "ping" },
  "ping-deaf": { attack: "ping-deaf" },
  window: { attack: "window", authorized: true },
  headers: { attack: "headers" },
  references: { attack: "references", authorized: true, mostCpuSeconds: 1 },
  fields: { attack: "fields", authorized: true, mostCpuSeconds: 2 },
  "slow-bodies": { attack: "slow-bodies" },
  "slow-bodies-authorized": { attack: "slow-bodies", authorized: true },
  "half-open": { attack: "half-open" },
  silent: { attack: "silent" },
  strangers: { attack: "strangers" },
  credentials: { attack: "credentials" },
};
