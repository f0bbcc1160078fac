/** What `demo` shows, step by step: each says what happens, by which command, and what comes of it. A step that does not go as it must throws. */
import { isDeepStrictEqual } from "node:util";
import { Failure } from "../command.ts";
import { demoExport, demoSpans } from "./sample-export.ts";
import { readExport } from "../sign/export-file.ts";
import { judgeSpans } from "../verify/judged-spans.ts";
import { type KeySet, readKeySet } from "../verify/key-set.ts";
import { printLine, printText } from "../print.ts";
import { askService, placeAt } from "../service-client.ts";
import { noCredentials } from "../access/credentials.ts";
import { type SignRequest, signExport, signedPieces, summaryOf } from "../sign/export.ts";
import { verifyLogs } from "../verify/log.ts";

/** A service without keys. */
export interface DemoService {
  /** Its gRPC address, and a run that no other has. */
  signing: Pick<SignRequest, "address" | "credentials" | "run">;
  /** `http://HOST:PORT` */
  url: string;
}

const tenant = "acme";
const [field, otherField, value] = ["email", "phone", "ann@example.com"];
/** The decision's place in the export, and so in the log. */
const decision = { scope: 1, span: 2, index: 4 };

/** Throws a Failure that says what did not go as it must. */
export async function tellStory(service: DemoService): Promise<void> {
  const signed = await signSpans(service);
  say("An auditor verifies them offline, with the tenant's public keys: none is changed, none is missing.");
  const path = `/api/kms/tenants/${tenant}/jwks.json`;
  shell(`curl -s localhost:8080${path} > keys.json`);
  const keys = readKeySet(Buffer.from((await call(service, "GET", path)).text));
  verify("signed.json", signed, { keys, expected: [] });

  say("Somebody turns the refused loan into an approved one:");
  shell(`sed 's/"boolValue": false/"boolValue": true/' signed.json > changed.json`);
  const changed = signed.replace('"boolValue": false', '"boolValue": true');
  verify("changed.json", changed, { keys, expected: [["changed", decision.index]] });

  say("Or removes the decision:");
  shell(`jq 'del(.resourceSpans[0].scopeSpans[${decision.scope}].spans[${decision.span}])' signed.json > removed.json`);
  verify("removed.json", withoutDecision(signed), { keys, expected: [["missing", decision.index]] });

  await encryptAndOpen(service);
}

async function signSpans({ signing }: DemoService): Promise<string> {
  say(
    `${demoSpans} spans of a loan decision, as OpenTelemetry exports them, get their places in the log of tenant ${tenant}.`,
  );
  shell(`npx fluo-kms sign --tenant ${tenant} --mode log --out signed.json spans.json`);
  const files = [readExport("spans.json", Buffer.from(demoExport()))];
  const signed = await signExport(files, { tenant, mode: "log", ...signing });
  printLine(summaryOf(signed, tenant));
  must(signed.refusals.length === 0, "every span is signed");
  return [...signedPieces(files, signed)].join("");
}

interface Expected {
  keys: KeySet;
  /** What is found, with its index in the log. */
  expected: readonly (readonly [what: string, index: number])[];
}

/** What `verify --log` says, by its own code. */
function verify(name: string, file: string, { keys, expected }: Expected): void {
  shell(`npx fluo-kms verify --log --keys keys.json ${name}`);
  const spans = judgeSpans(Buffer.from(file), keys, undefined);
  const result = verifyLogs(spans, { keys, kept: [], from: undefined, to: undefined, isOrdered: true });
  result.print();
  const { logs } = result.json() as { logs: { findings: { what: string; leaf_index: number }[] }[] };
  const found = logs.flatMap(({ findings }) => findings.map(({ what, leaf_index }) => [what, leaf_index]));
  must(
    result.ok === (expected.length === 0) && isDeepStrictEqual(found, expected),
    `verify finds this in ${name}, and no more`,
  );
}

function withoutDecision(signed: string): string {
  const json = JSON.parse(signed);
  json.resourceSpans[0].scopeSpans[decision.scope].spans.splice(decision.span, 1);
  return JSON.stringify(json);
}

async function encryptAndOpen(service: DemoService): Promise<void> {
  const base64 = Buffer.from(value).toString("base64");
  say(`A value is encrypted, bound to its tenant and its field (${value}; protobuf's JSON has bytes in base64).`);
  const { token } = await pii(service, "EncryptPii", { name: field, value: base64 });
  must(typeof token === "string" && !token.includes(base64), "the value is encrypted");
  say("It opens for that field.");
  const opened = await pii(service, "DecryptPii", { name: field, token });
  must(opened.value === base64, "the token opens under its own field");
  say("It does not open for another.");
  const { error, value: leaked } = await pii(service, "DecryptPii", { name: otherField, token });
  must(error !== undefined && leaked === undefined, "the token does not open under another field");
}

async function pii(
  service: DemoService,
  rpc: string,
  given: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const body = { tenantId: tenant, fields: [given] };
  const path = `/fluo.kms.v1.KmsService/${rpc}`;
  shell(`curl -s localhost:8080${path} -H 'content-type: application/json' -d '${shortened(JSON.stringify(body))}'`);
  const { text, json } = await call(service, "POST", path, body);
  printLine(text);
  return (json.fields as Record<string, unknown>[])[0] ?? {};
}

/** A token with its first characters: it opens for this service alone, and that one ends. */
function shortened(body: string): string {
  return body.replace(/(fk1\.[\w-]{8})[\w-]*/, "$1…");
}

function call({ url }: DemoService, method: "GET" | "POST", path: string, body?: Record<string, unknown>) {
  const service = { place: placeAt(url), credentials: noCredentials };
  return askService(service, { method, path, timeoutMs, ...(body && { body }) });
}

const timeoutMs = 10_000;

function say(text: string): void {
  printText(`\n# ${text}`);
}

function shell(command: string): void {
  printLine(`$ ${command}`);
}

/** `what` is a sentence that should hold. */
function must(holds: boolean, what: string): void {
  if (!holds) throw new Failure(`this does not hold: ${what}`);
}
