/**
 * The attack on names of JSON members, whole: a caller sends a name that ends with a backslash, and V8 before Node 26.12.1 then takes a
 * name with an escape in the same place, of whichever caller, for that one. Each door by which text of callers comes in has a name of its
 * own here.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { postJson } from "./api-fixture.ts";
import { frame, openRaw } from "./raw-stream.ts";
import { bearerHeaders } from "./running-service.ts";
import { tokenPolicy } from "./token-policy.ts";
import { startProcess } from "./service-process.ts";

export interface AttackedNames {
  /** Sends names that begin with `stem` by a door. The requests may be refused. */
  attack(door: Door, stem: string): Promise<void>;
  /** What a tenant, as Python's `json.dumps` and as `JSON.stringify` write its context, finds of a name with this stem: nothing is wrong. */
  problems(stem: string): Promise<string[]>;
}

const base64Url = (text: string) => Buffer.from(text).toString("base64url");
const rpc = (name: string) => `/fluo.kms.v1.${name}`;

interface Sent {
  path: string;
  body?: string | Uint8Array;
  headers?: Record<string, string>;
  /** Sent by HTTP/2 then. */
  isStream?: boolean;
}

/** Requests with an object of names, which V8 would learn if the text reached JSON.parse. */
const doors = {
  context: (names) => encryption("mallory", names),
  "a context that is refused": (names) => ({
    ...encryption("mallory", names),
    body: `{"encryptionContext":${names},"unknown":1}`,
  }),
  "an unknown member": (names) => ({ path: rpc("KmsService/SignSpan"), body: `{"x":${names}}` }),
  "a query": (names) => ({
    path: `${rpc("KmsService/Status")}?${new URLSearchParams({ connect: "v1", encoding: "json", message: `{"x":${names}}` })}`,
  }),
  "gRPC-Web": (names) => ({
    path: rpc("KmsService/Status"),
    body: frame(Buffer.from(`{"x":${names}}`)),
    headers: { "content-type": "application/grpc-web+json" },
  }),
  "a stream of Connect's": (names) => ({
    path: rpc("KmsService/SignSpans"),
    body: frame(Buffer.from(`{"x":${names}}`)),
    headers: { "content-type": "application/connect+json" },
    isStream: true,
  }),
  administration: (names) => ({ path: "/api/admin/kms/rotate", body: names }),
  "a page token": (names) => ({
    path: rpc("KeyAdminService/ListAuditEvents"),
    body: JSON.stringify({ pageToken: base64Url(`[${names}]`) }),
  }),
  "a token's claims": (names) => ({
    ...encryption("mallory", "{}"),
    headers: { authorization: `Bearer ${base64Url('{"alg":"RS256"}')}.${base64Url(names)}.AAAA` },
  }),
  "a token's header": (names) => ({
    ...encryption("mallory", "{}"),
    headers: { authorization: `Bearer ${base64Url(names)}.${base64Url("{}")}.AAAA` },
  }),
  "an attribute of a span": (names) => ({
    path: rpc("KmsService/SignSpan"),
    body: JSON.stringify({ tenantId: "mallory", span: spanWith(Object.keys(JSON.parse(names))) }),
  }),
} satisfies Record<string, (names: string) => Sent>;

export type Door = keyof typeof doors;
export const allDoors = Object.keys(doors) as Door[];

// V8 learns what follows a first name: each stem has one of its own.
const learnt = (stem: string) => `{"a${stem}":"7",${JSON.stringify(`${stem}\\`)}:"1"}`;

export async function startAttacked(node = process.execPath): Promise<AttackedNames> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-names-"));
  const everything = ["sign", "encrypt", "decrypt", "status", "operate", "audit"];
  const { text, tokens } = tokenPolicy({ mallory: { roles: everything }, globex: { roles: everything } });
  const policy = join(dir, "policy.yaml");
  writeFileSync(policy, `separation: off\n${text}`, { mode: 0o600 });
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const { http, grpc } = await startProcess({ FLUO_KMS_AUTH: "policy", FLUO_KMS_POLICY_FILE: policy }, { node });

  async function send({ path, body, headers = {}, isStream }: Sent, token: string): Promise<Answer> {
    const sent = { "content-type": "application/json", ...bearerHeaders(token), ...headers };
    if (isStream) return sendStream(grpc, sent, body!);
    const response = await fetch(`${http}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: sent,
      ...(body !== undefined && { body: body as string }),
    });
    return { status: response.status, text: await response.text() };
  }

  const encrypt = async (context: string) => {
    const { text } = await send(encryption("globex", context), tokens.globex!);
    return (JSON.parse(text) as { fields: { token: string }[] }).fields[0]!.token;
  };
  const opens = async (token: string, context: string) => {
    const body = `{"tenantId":"globex","fields":[{"name":"email","token":"${token}"}],"encryptionContext":${context}}`;
    const answer = await postJson(`${http}${rpc("KmsService/DecryptPii")}`, body, bearerHeaders(tokens.globex));
    return (answer.body as { fields?: { value?: string }[] }).fields?.[0]?.value === "YQ==";
  };
  /** Encrypted before the attack: one for each door, by its stem. */
  const former = new Map<string, string>();

  return {
    async attack(door, stem) {
      former.set(stem, await encrypt(literal(stem)));
      const { status } = await send(doors[door](learnt(stem)), tokens.mallory!);
      if (status >= 500) throw new Error(`${door} was answered ${status}`);
    },
    async problems(stem) {
      const [before, bound] = [former.get(stem)!, await encrypt(escaped(stem))];
      const found: [problem: string, is: boolean][] = [
        ["what was encrypted before does not open", !(await opens(before, escaped(stem)))],
        ["what is encrypted now does not open by the name", !(await opens(bound, literal(stem)))],
        ["what is encrypted now opens by the attacker's name", await opens(bound, learnt(stem))],
      ];
      return found.filter(([, is]) => is).map(([problem]) => problem);
    },
  };
}

interface Answer {
  status: number;
  text: string;
}

async function sendStream(target: string, headers: Record<string, string>, body: string | Uint8Array): Promise<Answer> {
  const { session, stream } = openRaw(target, headers);
  const answered = once(stream, "response") as Promise<[Record<string, unknown>]>;
  stream.end(body);
  const [[head], text] = await Promise.all([answered, textOf(stream)]);
  session.close();
  return { status: Number(head[":status"]), text };
}

const literal = (stem: string) => `{"a${stem}":"7","${stem}é":"1"}`;
const escaped = (stem: string) => `{"a${stem}":"7","${stem}\\u00e9":"1"}`;

function encryption(tenant: string, context: string): Sent {
  return {
    path: rpc("KmsService/EncryptPii"),
    body: `{"tenantId":"${tenant}","fields":[{"name":"email","value":"YQ=="}],"encryptionContext":${context}}`,
  };
}

/** An attribute that looks like evidence, with a map of these keys. */
function spanWith(keys: readonly string[]) {
  const values = keys.map((key) => ({ key, value: { stringValue: "1" } }));
  const ids = { traceId: "W47/95gDgQPSabYzgT/GDA==", spanId: "7uGbfsPBsXQ=" };
  return { ...ids, name: "x", attributes: [{ key: "audit.integrity.value", value: { kvlistValue: { values } } }] };
}
