/** Requests in JSON of a seed, right and wrong, whose names are spelt in all ways; and names that teach V8 to misread them. */
import { type DescMessage, type DescService, toJson } from "@bufbuild/protobuf";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { type Random, randomFrom } from "../crash/random.ts";
import { mutatedJson } from "../fuzz/mutate-json.ts";
import { randomMessage } from "../fuzz/random-message.ts";

export interface JsonRequest {
  /** Of the message. */
  typeName: string;
  body: Buffer;
}

const services: readonly DescService[] = [KmsService, KeyAdminService, LogService];
export const inputs: ReadonlyMap<string, DescMessage> = new Map(
  services.flatMap(({ methods }) => methods.map(({ input }) => [input.typeName, input])),
);

const stems = ["", "a", "caf", "user", "x-"];
/** Of one length once read, so that V8 takes one for another by its spelling. */
const tails = ["\\", "é", '"', "\n", "\t", "\u0001", "/", "\u2028", "\\u", '\\"', "\\\\", "n\\"];
/** V8 learns one name after each first one: many of these, so that it knows much. */
const firstNames = Array.from({ length: 600 }, (_, i) => `id${i}`);
const stemAfter = (first: number) => stems[first % stems.length]!;

/** Texts of which V8 learns names that end with a backslash, or have one near their end. */
export const lessons: readonly string[] = firstNames.map((first, i) => {
  const taught = ["\\", "\\\\", "\\u"][i % 3]!;
  return JSON.stringify({ [first]: "1", [`${stemAfter(i)}${taught}`]: "1" });
});

export function jsonRequests(seed: number, count: number): JsonRequest[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => (random.chance(0.5) ? encryption(random) : anyRequest(random)));
}

/** As the encoders of several languages write a context. */
function encryption(random: Random): JsonRequest {
  const first = random.below(firstNames.length);
  const names = [
    firstNames[first]!,
    `${stemAfter(first)}${random.pick(tails)}`,
    `${random.pick(stems)}${random.pick(tails)}`,
  ];
  const members = names.slice(0, 2 + random.below(2)).map((name) => `${spelt(name, random)}:"1"`);
  const context = `{${members.join(random.pick([",", " , "])!)}}`;
  return {
    typeName: KmsService.method.encryptPii.input.typeName,
    body: Buffer.from(`{"tenantId":"acme",${spelt("encryptionContext", random)}:${context},"fields":[]}`),
  };
}

function anyRequest(random: Random): JsonRequest {
  const input = random.pick([...inputs.values()])!;
  const message = randomMessage(input, { random, samples: {}, wild: random.chance(0.3), depth: 0 });
  const value = jsonOf(input, message);
  const body = random.chance(0.5) ? mutatedJson(value, random) : Buffer.from(JSON.stringify(value));
  // As latin1, so that what is no UTF-8 stays as it is.
  const text = body
    .toString("latin1")
    .replace(/"([ !#-[\]-~]*)"(\s*:)/g, (_all, name: string, colon: string) =>
      random.chance(0.3) ? `${spelt(name, random)}${colon}` : `"${name}"${colon}`,
    );
  return { typeName: input.typeName, body: Buffer.from(text, "latin1") };
}

/** Some messages have no JSON, such as a Timestamp of a year that is none. */
function jsonOf(input: DescMessage, message: Parameters<typeof toJson>[1]): unknown {
  try {
    return toJson(input, message);
  } catch {
    return {};
  }
}

const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\", "/": "\\/" };

/** A string in JSON, each of its characters in one of its spellings. */
function spelt(text: string, random: Random): string {
  const units = Array.from({ length: text.length }, (_, at) => text[at]!);
  const all = units.map((unit) => {
    const ways = [`\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`];
    if (escapes[unit] !== undefined) ways.push(escapes[unit]);
    if (unit >= " " && unit !== '"' && unit !== "\\") ways.push(unit, unit, unit);
    return random.pick(ways)!;
  });
  return `"${all.join("")}"`;
}
