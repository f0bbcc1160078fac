/** What may be otherwise in a key set than when the spans were signed, or wrong with it. */
import { base64 } from "../../../clients/conformance/judge/evidence.ts";
import { changedProof } from "../../../clients/conformance/judge/alter.ts";
import { laterKeys, states } from "../../../clients/conformance/judge/key-sets.ts";
import { verifierKey } from "../../../src/tlog/verifier-key.ts";
import type { Random } from "../../crash/random.ts";
import { compromised, type Draft, headOf } from "./draft.ts";
import type { Json } from "./worlds.ts";

type Alteration = (draft: Draft, r: Random) => void;

/** Of a key that is still one of the tenant's. */
function change(what: (key: Json, draft: Draft, r: Random) => Json): Alteration {
  return (draft, r) => {
    const { keys } = draft.keys;
    const key = r.pick(
      keys.filter(({ kid, x }) => typeof kid === "string" && typeof x === "string" && x.length === 43),
    );
    if (key !== undefined) keys[keys.indexOf(key)] = { ...key, ...what(key, draft, r) };
  };
}

function changeHandover(what: (handover: Json, r: Random) => Json): Alteration {
  return ({ keys }, r) => {
    const at = r.below(keys.handovers.length);
    const handover = keys.handovers[at];
    if (handover !== undefined) keys.handovers[at] = { ...handover, ...what(handover, r) };
  };
}

function shifted(value: unknown, r: Random): string | null {
  const ms = Date.parse(typeof value === "string" ? value : "2026-03-02T00:00:00Z");
  const by = r.pick([-1, 1, -60_000, 60_000, -60_001, 3_600_000, -3_600_000, 86_400_000])!;
  const iso = new Date(ms + by).toISOString();
  return r.pick([iso, iso, iso.replace("Z", "000000Z"), iso.replace("Z", "999Z"), iso.replace(/\.000Z$/, "Z"), null])!;
}

const dates = [
  ...["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2026-05-01T00:00:00.000Z", "2024-02-29T00:00:00.1Z"],
  ...["2026-05-01T00:00:00.120+00:00", "2026-05-01T00:00:00.12z", "2026-05-01 00:00:00Z", "2026-02-30T00:00:00Z", ""],
];

/** Means nothing to a verifier, or only what is shown. */
export const equalKeys: Readonly<Record<string, Alteration>> = {
  "keys of other kinds"({ keys }, r) {
    for (let count = 1 + r.below(2); count > 0; count -= 1)
      keys.keys.splice(r.below(keys.keys.length + 1), 0, r.pick(laterKeys)!);
  },
  "members that nobody knows": (draft, r) => {
    draft.keys["x-more"] = { keys: null };
    change((_key, _draft, rr) => ({ comment: [{ d: "not the key's own" }], version: rr.pick(["1", null]) }))(draft, r);
  },
  "keys in another order"({ keys }) {
    keys.keys.reverse();
  },
  "handovers in another order"({ keys }) {
    keys.handovers.reverse();
  },
  "the number of keys"({ keys }) {
    keys.total_keys = keys.keys.length;
    keys.next_page_token = "";
  },
  "a name of the algorithm": change((_key, _draft, r) => ({ alg: r.pick(["Ed25519", undefined]), use: undefined })),
};

export const alteredKeys: Readonly<Record<string, Alteration>> = {
  "state of a key": change((_key, _draft, r) => ({ state: r.pick(states) })),
  "a key compromised": change((_key, _draft, r) => ({
    state: r.pick(["COMPROMISED", "COMPROMISED", "RETIRED"]),
    compromised_at: r.pick(["2026-05-01T00:00:00.000Z", "2026-05-01T00:00:00Z", null]),
    compromised_log: r.pick([null, undefined]),
  })),
  "a key compromised with a head": change((_key, { world }, r) => compromised(world, r)),
  "a key compromised with a head that was not": change((_key, { world }, r) => ({
    ...compromised(world, r),
    compromised_log: { ...headOf(world, r), root: base64(r.bytes(32)) },
  })),
  "the start of validity": change((key, _draft, r) => ({ valid_from: shifted(key.valid_from, r) })),
  "the end of validity": change((key, _draft, r) => ({ valid_until: shifted(key.valid_until ?? key.valid_from, r) })),
  "a date in another form": change((_key, _draft, r) => ({
    [r.pick(["valid_from", "valid_until", "compromised_at"])!]: r.pick(dates),
  })),
  "a key removed"({ keys }, r) {
    keys.keys.splice(r.below(keys.keys.length), 1);
  },
  "no keys"({ keys }) {
    keys.keys = [];
  },
  "one id twice"({ keys }, r) {
    const [one, other] = [r.pick(keys.keys), r.pick(keys.keys)];
    if (one !== undefined && other !== undefined) keys.keys.push({ ...one, kid: other.kid });
  },
  "an id changed": change((key, _draft, r) => ({ kid: r.pick([`${key.kid}0`, "", "__proto__", "0".repeat(32), 7]) })),
  "one key by two ids"({ keys }, r) {
    const key = r.pick(keys.keys);
    if (key !== undefined) keys.keys.splice(r.below(keys.keys.length + 1), 0, { ...key, kid: "1".repeat(32) });
  },
  "another public key": change((_key, draft, r) => {
    const other = r.pick(draft.world.keys.keys)!;
    return r.chance(0.5) ? { x: other.x } : { x: other.x, vkeys: other.vkeys };
  }),
  "a private member": change((_key, _draft, r) => ({ [r.pick(["d", "k", "priv"])!]: r.pick(["secret", "", null]) })),
  "another kind": change(
    (_key, _draft, r) => r.pick<Json>([{ kty: "EC" }, { crv: "X25519" }, { crv: 7 }, { kty: 7 }])!,
  ),
  "another use": change(
    (_key, _draft, r) =>
      r.pick<Json>([{ use: "enc" }, { alg: "RS256" }, { key_ops: ["sign"] }, { key_ops: ["verify"] }, { alg: null }])!,
  ),
  "a page of the set"({ keys }, r) {
    const [page, more] = [r.pick(["next_page_token", "nextPageToken"])!, r.pick(["total_keys", "totalKeys"])!];
    if (r.chance(0.5)) keys[page] = r.pick(["x", 0, false, null]);
    else keys[more] = r.pick([keys.keys.length + 1, `${keys.keys.length}`, null]);
  },
  "vkeys of a key": change(({ x, vkeys }, draft, r) => {
    const [key, all] = [Buffer.from(x as string, "base64url"), Array.isArray(vkeys) ? vkeys : []];
    const listed = all.filter((each) => typeof each === "string");
    const other = r.pick(draft.world.keys.keys)!;
    return {
      vkeys: r.pick([
        ...[undefined, null, [], listed.toReversed(), [...listed, ...listed]],
        ...[[verifierKey("kms.example.com/other", key)], other.vkeys, listed.map((vkey) => vkey.slice(0, -1))],
        ...[listed.map((vkey) => vkey.replace(/\+[0-9a-f]{8}\+/, "+00000000+")), "text", [7]],
      ]),
    };
  }),
  "a handover removed"({ keys }, r) {
    keys.handovers.splice(r.below(keys.handovers.length + 1), 1);
  },
  "no handovers"({ keys }) {
    keys.handovers = [];
  },
  "a handover repeated"({ keys }, r) {
    const handover = r.pick(keys.handovers);
    if (handover !== undefined) keys.handovers.splice(r.below(keys.handovers.length + 1), 0, { ...handover });
  },
  "entry of a handover": changeHandover(({ entry }, r) => {
    const text = Buffer.from(entry as string, "base64").toString();
    return {
      entry: base64(
        r.pick([
          text.replace(/"tenant":"[^"]*"/, '"tenant":"other"'),
          text.replace(/"toKeyId":"./, '"toKeyId":"0'),
          text.replace(/"fromKeyId":"./, '"fromKeyId":"0'),
          text.replace(/"sha256":"./, '"sha256":"0'),
          text.replace(/(\d)\.(\d\d)\d/, "$1.$29"),
          text.slice(1),
        ])!,
      ),
    };
  }),
  "proof of a handover": changeHandover(({ proof }, r) => ({ proof: changedProof(proof as string, r) })),
  "proof of another handover"({ keys }, r) {
    const [one, other] = [r.pick(keys.handovers), r.pick(keys.handovers)];
    if (one !== undefined && other !== undefined) one.proof = other.proof;
  },
  "a handover unused"({ keys }, r) {
    const handover = r.pick(keys.handovers);
    if (handover === undefined) return;
    if (r.chance(0.5)) handover.proof = "";
    else keys.unused_handovers = [{ ...handover, proof: undefined }];
    if (r.chance(0.3)) handover.leaf_index = r.pick([0, 1, 99, -1, "1"]);
  },
  "a log ended"(draft, r) {
    const ended = Array.from({ length: 1 + r.below(2) }, () => headOf(draft.world, r));
    draft.keys.ended_logs = [...(r.chance(0.5) ? (draft.keys.ended_logs ?? []) : []), ...ended];
  },
  "a head that is none"(draft, r) {
    const head = headOf(draft.world, r);
    draft.keys.ended_logs = [
      { ...head, ...r.pick<Json>([{ size: -1 }, { root: "x" }, { origin: 7 }, { size: "1" }])! },
    ];
  },
};
