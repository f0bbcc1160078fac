/** Random exports, signed by the service's own code, and the ways to alter them. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { integrityAttributes, signSpan } from "../../../../src/attestation/sign-statement.ts";
import { resourceSpansBytes } from "../../../../src/cli/verify/otlp-json.ts";
import { publicKeyOf, signingKey } from "../../../../src/crypto/ed25519.ts";
import { readResourceSpans } from "../../../../src/otlp/resource-spans.ts";
import { verifierKey } from "../../../../src/tlog/verifier-key.ts";
import type { Random } from "../../../../test/support/random-span.ts";
import { ResourceSpansSchema, VerifySpanRequestSchema } from "../../src/messages.ts";
import { field } from "../../src/node/otlp-parts.ts";

const secret = Buffer.alloc(32, 7);
const publicKey = publicKeyOf(secret);
const key = { tenant: "acme", keyId: "00112233445566778899aabbccddeeff", key: signingKey(secret) };

/** The key set of the tenant that signs, as text. */
export const jwks = JSON.stringify({
  keys: [
    {
      kty: "OKP",
      crv: "Ed25519",
      alg: "EdDSA",
      use: "sig",
      kid: key.keyId,
      state: "ACTIVE",
      x: Buffer.from(publicKey).toString("base64url"),
      vkeys: [verifierKey("kms.example.com/acme", publicKey)],
      valid_from: "2026-01-01T00:00:00.000Z",
      valid_until: null,
    },
  ],
});

/** A signed export in its forms. */
export interface SignedExport {
  protobuf: Buffer;
  json: string;
  /** VerifySpanRequest of its first span. */
  request: Buffer;
}

export interface RandomExports {
  pick<T>(...from: T[]): T;
  signed(): SignedExport;
  altered(bytes: Buffer): Buffer;
  alteredJson(text: string): string;
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const texts = ["", "a", "é", "😂", '\u0000\u001f"\\', "__proto__", "\ufb33", "\u2028", "toString"];
/** What takes the place of a value in JSON. */
const places = [
  ...["null", '"5"', "5", "1e2", "-1", "{}", "[]", "true", '"0x10"', '" 7"', '"NaN"', "12345678901234567890", '"é"'],
  ...['"\\ud800"', '"A"', '"AA="', '"=="', "1e999", "1.0", '"SPAN_KIND_SERVER"', "3000000000"],
  '"00112233445566778899aabbccddeeff"',
];

/** Draws all that it makes from `random`. */
export function randomExports(random: Random): RandomExports {
  const pick = <T>(...from: T[]): T => from[random.below(from.length)]!;
  const digits = (n: number) => Buffer.from(Array.from({ length: n }, () => random.below(256))).toString("hex");

  function value(level = 0): Json {
    const nested = level < 3 || random.below(40) === 0 ? 8 : 6;
    switch (random.below(nested)) {
      case 0:
        return { stringValue: pick(...texts) };
      case 1:
        return { boolValue: pick(true, false) };
      case 2:
        return { intValue: pick<Json>("0", 5, "-9223372036854775808", "9223372036854775807", 2 ** 53) };
      case 3:
        return { doubleValue: pick<Json>(0, -0, 1e21, 5e-324, 0.1, "NaN", "Infinity", "1.5", 1 / 3) };
      case 4:
        return { bytesValue: pick("", "AA==", "AAA", "_-8", "AAAA") };
      case 5:
        return {};
      case 6:
        return { arrayValue: { values: Array.from({ length: random.below(3) }, () => value(level + 1)) } };
      default:
        return { kvlistValue: { values: attributes(level + 1) } };
    }
  }

  function attributes(level = 0): Json[] {
    return Array.from({ length: random.below(4) }, (_, i) => ({ key: pick(...texts) + i, value: value(level) }));
  }

  function span(): { [name: string]: Json } {
    return {
      traceId: digits(16),
      spanId: digits(8),
      name: pick(...texts),
      kind: random.below(6),
      attributes: attributes(),
      ...(random.below(2) ? { startTimeUnixNano: String(random.bits(64)), endTimeUnixNano: 17, flags: 257 } : {}),
      ...(random.below(2)
        ? { events: [{ name: pick(...texts), timeUnixNano: "5", attributes: attributes() }, {}] }
        : {}),
      ...(random.below(2) ? { links: [{ traceId: digits(16), spanId: digits(8), attributes: attributes() }] } : {}),
      ...(random.below(2) ? { status: { code: pick<Json>(0, 1, "STATUS_CODE_ERROR"), message: pick(...texts) } } : {}),
      ...(random.below(3) ? {} : { parentSpanId: digits(8), traceState: "a=b", droppedAttributesCount: 3 }),
    };
  }

  /** An export whose spans are signed by the service's own code. */
  function signedExport(): Json {
    const resourceSpans = Array.from({ length: 1 + random.below(2) }, () => ({
      ...(random.below(2) ? { resource: { attributes: attributes() } } : {}),
      scopeSpans: [
        {
          ...(random.below(2) ? { scope: { name: "s", version: "1" } } : {}),
          spans: [span(), span()].slice(random.below(2)),
        },
      ],
    }));
    for (const each of resourceSpans) {
      const [bytes] = messagesOf({ resourceSpans: [each] });
      let i = 0;
      for (const read of readResourceSpans(bytes!)) {
        if (read instanceof Error) throw read;
        const signed = integrityAttributes(signSpan(read, key, 1767323045678), key);
        const on = each.scopeSpans[0]!.spans[i]!.attributes as Json[];
        on.push(...signed.map(([name, text]): Json => ({ key: name, value: { stringValue: text } })));
        i += 1;
      }
    }
    return { resourceSpans };
  }

  function mutate(bytes: Buffer): Buffer {
    const at = random.below(bytes.length);
    switch (random.below(5)) {
      case 0:
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(4))]);
      case 1:
        return Buffer.concat([bytes.subarray(0, at), Buffer.of(random.below(256)), bytes.subarray(at)]);
      case 2: {
        const end = Math.min(bytes.length, at + random.below(30));
        return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end)]);
      }
      default: {
        const changed = Buffer.from(bytes);
        changed[at]! ^= 1 << random.below(8);
        return changed;
      }
    }
  }

  function mutateJson(text: string): string {
    const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^"{}[\]:,]+/g)!;
    const at = random.below(tokens.length);
    switch (random.below(6)) {
      case 0:
        tokens[at] = pick(...places);
        break;
      case 1:
        tokens.splice(at, 1);
        break;
      case 2:
        tokens.splice(at, 0, tokens[random.below(tokens.length)]!);
        break;
      case 3: {
        const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
        if (/^"[a-z]+[A-Z]/.test(tokens[at]!)) tokens[at] = snake(tokens[at]!);
        break;
      }
      case 4: {
        const values = tokens.flatMap((token, i) => (tokens[i - 1] === ":" && !/[{[]/.test(token) ? [i] : []));
        tokens[values[random.below(values.length)]!] = pick(...places);
        break;
      }
      default: {
        const names = tokens.flatMap((_, i) => (tokens[i + 1] === ":" ? [i] : []));
        const [from, to] = [names[random.below(names.length)]!, names[random.below(names.length)]!];
        tokens[to] = tokens[from]!;
      }
    }
    return tokens.join("");
  }

  return { pick, signed: () => formsOf(signedExport()), altered: mutate, alteredJson: mutateJson };
}

function formsOf(document: Json): SignedExport {
  const messages = messagesOf(document);
  const { resource, scopeSpans } = fromBinary(ResourceSpansSchema, messages[0]!);
  const { scope, spans } = scopeSpans[0]!;
  const request = create(VerifySpanRequestSchema, {
    tenantId: key.tenant,
    span: spans[0]!,
    ...(resource && { resource }),
    ...(scope && { scope }),
  });
  return {
    protobuf: Buffer.concat(messages.map((bytes) => field(0x0a, bytes))),
    json: JSON.stringify(document),
    request: Buffer.from(toBinary(VerifySpanRequestSchema, request)),
  };
}

function messagesOf(document: Json): Uint8Array[] {
  return resourceSpansBytes(JSON.parse(JSON.stringify(document))).map((each) => {
    if (each instanceof Error) throw each;
    return each;
  });
}
