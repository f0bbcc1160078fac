/** What is compared: the same work, in the way that each side does it best, and what is aimed for. */
import { tenantId } from "../requests.ts";
import type { Take } from "../slice.ts";
import { type Subjects, usualBatches } from "../subjects.ts";
import type { Transit } from "./transit.ts";

export const contenders = ["ours", "off", "on"] as const;
/** The peer without and with its audit file. */
export type Contender = (typeof contenders)[number];

export interface Target {
  /** `cpu`: the peer's CPU an item over ours. `items`: ours a second over the peer's. */
  figure: "cpu" | "items";
  peer: Exclude<Contender, "ours">;
  atLeast: number;
}

export interface PeerRow {
  /** For `--only`. */
  name: string;
  title: string;
  takes: Record<Contender, Take>;
  targets: readonly Target[];
}

const calls = 4000;
/** Of 100 spans. */
const [individualBatches, logBatches, peerBatches] = [400, 800, 300];
const streams = 64;

export function peerRows(ours: Subjects, peers: Record<Exclude<Contender, "ours">, Transit>): PeerRow[] {
  const takes = (own: Take, peer: (transit: Transit) => Take) => {
    return { ours: own, off: peer(peers.off), on: peer(peers.on) };
  };
  const signSpans = (mode: "INDIVIDUAL" | "LOG", batches: number) => {
    const batchesEach = Math.ceil(batches / streams);
    return ours.signSpans({ mode, streams, atOnce: streams, batchesEach, ...usualBatches, tenants: [tenantId] });
  };
  const encrypt = (name: string, fields: number, perSlice: number): PeerRow => ({
    name,
    title: fields === 1 ? "encrypt 1 field" : `encrypt ${fields.toLocaleString("en")} fields, a field`,
    takes: takes(ours.encryptPii(fields, perSlice), (peer) => peer.encrypt(fields, perSlice)),
    targets: [{ figure: "cpu", peer: "on", atLeast: 1 }],
  });
  return [
    {
      name: "sign-span",
      title: "sign, a call",
      takes: takes(ours.signSpan(calls), (peer) => peer.sign(calls)),
      targets: [{ figure: "cpu", peer: "off", atLeast: 2.3 }],
    },
    {
      name: "individual",
      title: "sign batches of 100, INDIVIDUAL, a span",
      takes: takes(signSpans("INDIVIDUAL", individualBatches), (peer) => peer.signBatches(peerBatches)),
      targets: [
        { figure: "cpu", peer: "off", atLeast: 1 },
        { figure: "items", peer: "off", atLeast: 1 },
      ],
    },
    {
      name: "log",
      title: "sign batches of 100, LOG, a span",
      takes: takes(signSpans("LOG", logBatches), (peer) => peer.signBatches(peerBatches)),
      targets: [{ figure: "items", peer: "on", atLeast: 3 }],
    },
    encrypt("encrypt-pii-1", 1, calls),
    encrypt("encrypt-pii", 20, 1000),
    encrypt("encrypt-pii-1000", 1000, 60),
    {
      name: "generate-data-key",
      title: "data key, a call",
      takes: takes(ours.generateDataKey(calls), (peer) => peer.dataKey(calls)),
      targets: [{ figure: "cpu", peer: "off", atLeast: 2.5 }],
    },
  ];
}
