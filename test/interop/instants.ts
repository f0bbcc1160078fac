/** The times of signing as clients in other languages write them: every millisecond of some seconds, and some of every age. */
import { signingKey } from "../../src/crypto/ed25519.ts";
import { readVerifySpanRequest } from "../../src/service/codec/sign-span.ts";
import { integrityAttributes, signSpan } from "../../src/attestation/sign-statement.ts";
import { canonicalSignedAt, formatSignedAt } from "../../src/attestation/statement.ts";
import { claimOf, isClaim, verdict } from "../../src/attestation/verify-span.ts";
import { keyValue, len, message, signRequest, span, stringValue } from "../support/otlp-wire.ts";
import { generator } from "../support/random-span.ts";
import type { Outcome } from "./others.ts";

const wholeSeconds = ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2024-02-29T23:59:59Z", "9999-12-31T23:59:59Z"];
const count = 125_000;
const atOnce = 25_000;
const dayMs = 86_400_000;
const key = signingKey(new Uint8Array(32).fill(1));
const by = { tenant: "acme", keyId: "00112233445566778899aabbccddeeff", key };
const plain = span(len(5, "decide"));
const { span: read } = readVerifySpanRequest(signRequest(plain));

function instants(): number[] {
  const r = generator(2026);
  const first = Date.parse("0001-01-01T00:00:00Z");
  const days = (Date.parse("9999-12-31T00:00:00Z") - first) / dayMs;
  const whole = wholeSeconds.map((text) => Date.parse(text));
  const every = whole.flatMap((second) => Array.from({ length: 1000 }, (_, ms) => second + ms));
  const some = Array.from({ length: count - every.length }, () => first + r.below(days) * dayMs + r.below(dayMs));
  return [...every, ...some];
}

export interface Spelled {
  spellings: number;
  /** Spellings that are not read as their instant. */
  wrong: string[];
  /** Spans that were verified with such a time on them, and those that did not verify. */
  verified: number;
  refused: string[];
}

/** Reads `count` instants as `spell` writes them, in four ways each, and verifies a signed span with every hundredth. */
export function readSpelled(spell: (instants: number[]) => Outcome): Spelled {
  const all = instants();
  const result: Spelled = { spellings: 0, wrong: [], verified: 0, refused: [] };
  for (let from = 0; from < all.length; from += atOnce) {
    const part = all.slice(from, from + atOnce);
    const outcome = spell(part);
    if (!outcome.verified) throw new Error(outcome.why);
    for (const [i, spellings] of (outcome.learned.spellings as string[][]).entries()) {
      for (const [way, spelling] of spellings.entries())
        readOne(part[i]!, spelling, (result.spellings + way) % 100 === 0);
      result.spellings += spellings.length;
    }
  }
  return result;

  function readOne(ms: number, spelling: string, verify: boolean): void {
    if (canonicalSignedAt(spelling) !== formatSignedAt(ms)) result.wrong.push(spelling);
    if (!verify) return;
    if (verifies(ms, spelling)) result.verified += 1;
    else result.refused.push(spelling);
  }
}

/** Whether a span that was signed at `ms` verifies with its time spelled so. */
function verifies(ms: number, spelling: string): boolean {
  const attributes = integrityAttributes(signSpan(read, by, ms), by).map(([name, value]) =>
    len(9, keyValue(name, stringValue(name.endsWith(".signed_at") ? spelling : value))),
  );
  const claim = claimOf(readVerifySpanRequest(signRequest(message(plain, ...attributes))));
  return isClaim(claim) && verdict(claim, { publicKey: key.publicKey, state: "ACTIVE" }).verified;
}
