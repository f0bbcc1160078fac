/**
 * Compares the verifier with the service's own on random exports, requests and key sets, altered or not. Ends at the first difference, and
 * at any error that the verifier does not name: `node fuzz.ts --inputs 1000000 --seed 1`.
 */
import { isDeepStrictEqual, parseArgs } from "node:util";
import { keySetOf, wantOfFile, wantOfRequest } from "../../../../clients/conformance/judge/reference.ts";
import { generator } from "../../../../test/support/random-span.ts";
import {
  KeySetError,
  parseKeySet,
  UnreadableExportError,
  type Verdict,
  verifyExport,
  verifyRequest,
} from "../../src/verify.ts";
import { jwks, randomExports } from "./random-exports.ts";

/** Signing costs more than verifying, so each export serves several times. */
const alteredOfEach = 6;

const theirs = keySetOf(jwks, undefined)!;
const ours = await parseKeySet(jwks);

/** Returns how often each form had each outcome. */
export async function fuzz(inputs: number, seed: number): Promise<Record<string, number>> {
  const random = generator(seed);
  const { pick, signed, altered, alteredJson } = randomExports(random);
  const twice = <Form>(alter: (form: Form) => Form, form: Form) => alter(random.below(2) ? alter(form) : form);
  const came: Record<string, number> = {};
  let done = 0;
  const count = (form: string, outcome: string) => {
    const what = `${form} ${outcome}`;
    came[what] = (came[what] ?? 0) + 1;
    done += 1;
  };
  while (done < inputs) {
    const { protobuf, json, request } = signed();
    const tenant = pick(undefined, "acme", "globex");
    count("protobuf", await onExport(protobuf, tenant));
    count("JSON", await onExport(Buffer.from(json), tenant));
    for (let i = 0; i < alteredOfEach && done < inputs; i += 1) {
      const form = random.below(10);
      if (form === 0) count("altered key set", await onKeySet(twice(alteredJson, jwks)));
      else if (form === 1) count("altered request", await onRequest(twice(altered, request)));
      else if (form < 6) count("altered protobuf", await onExport(twice(altered, protobuf), tenant));
      else count("altered JSON", await onExport(Buffer.from(twice(alteredJson, json)), tenant));
    }
  }
  return came;
}

async function onExport(bytes: Uint8Array, tenant: string | undefined): Promise<string> {
  const verdicts = await verifyExport(ours, bytes, tenant).catch(ifOwn(UnreadableExportError));
  const said = verdicts?.map(saidIn) ?? "unreadable";
  same(said, wantOfFile(bytes, theirs, tenant), bytes);
  return verdicts === undefined ? "unreadable" : outcomeOf(verdicts);
}

async function onRequest(bytes: Uint8Array): Promise<string> {
  const verdict = await verifyRequest(ours, bytes);
  same(saidIn(verdict), wantOfRequest(bytes, theirs), bytes);
  return outcomeOf([verdict]);
}

/** The client refuses dates that the service takes and RFC 3339 does not; whatever it reads, the service reads. */
async function onKeySet(text: string): Promise<string> {
  const keys = await parseKeySet(text).catch(ifOwn(KeySetError));
  if (keys === undefined) return "refused";
  const read = keySetOf(text, undefined);
  const namesOf = (set: { logKeys: readonly { name: string }[] }) => set.logKeys.map(({ name }) => name);
  const named = [...keys.keys.keys(), ...namesOf(keys)];
  same(named, read && [...read.byId.keys(), ...namesOf(read)], Buffer.from(text));
  return "read";
}

function outcomeOf(verdicts: readonly Verdict[]): string {
  return verdicts.some(({ verified }) => verified) ? "verified" : "refused";
}

function saidIn({ verified, unsigned, message, tenant, ...said }: Verdict) {
  if (verified && tenant === undefined) throw new Error("a verified span names no tenant");
  if (verified !== (said.reason === "OK")) throw new Error(`verified is ${verified} of a span that is ${said.reason}`);
  return said;
}

function ifOwn(kind: typeof UnreadableExportError | typeof KeySetError) {
  return (error: unknown): undefined => {
    if (!(error instanceof kind)) throw error;
  };
}

function same(own: unknown, other: unknown, input: Uint8Array): void {
  if (isDeepStrictEqual(own, other)) return;
  const said = [own, other].map((each) => JSON.stringify(each));
  throw new Error(`the client says ${said[0]} and the service ${said[1]} of ${Buffer.from(input).toString("base64")}`);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { inputs: { type: "string" }, seed: { type: "string" } } });
  const [inputs, seed] = [Number(values.inputs ?? 100_000), Number(values.seed ?? 1)];
  const came = await fuzz(inputs, seed);
  process.stdout.write(`${inputs} inputs of seed ${seed}, no difference: ${JSON.stringify(came, undefined, 2)}\n`);
}
