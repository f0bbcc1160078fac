/**
 * A service with TLS on both ports under a policy of an issuer over HTTPS, certificates and static tokens, which tests attack. Each
 * credential that it is shown is a canary: when it is stopped, none may be in what it has said by any way.
 */
import { hash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { Agent } from "node:https";
import { join } from "node:path";
import { toBinary, toJsonString } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { expect, vi } from "vitest";
import { durableWithinMs } from "../../src/audit/trail.ts";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import { realTime } from "../../src/runtime/time.ts";
import { byGrpc, byHttp, type Called, requestFor, type Rpc, type Shown } from "./both-ports.ts";
import { captureLog } from "./captured-log.ts";
import { eventually } from "./eventually.ts";
import { type HttpsIssuer, startHttpsIssuer } from "./https-issuer.ts";
import { type Json, sharedKey, type TestKey, tokenBy } from "./signed-tokens.ts";
import { openStream, type SpanClient } from "./stream-client.ts";
import { accepted, type ToldTwice } from "./told.ts";
import { startService, type TlsService } from "./running-service.ts";
import { run } from "./cli-fixture.ts";
import type { VirtualTime } from "./virtual-time.ts";

export interface AttackedService extends TlsService {
  issuer: HttpsIssuer;
  key: TestKey;
  /** Has a service in the time of this machine load the key set, as it does every 10 minutes. */
  refreshKeys(): void;
  /** Of the issuer, for `ingest`, with these claims changed. */
  token(claims?: Json, header?: Json): string;
  claims(changed?: Json): Json;
  /** Asks for a rpc on both ports: SignSpan for the tenant acme, unless told otherwise. */
  ask(shown: Shown, request?: Json, rpc?: Rpc): Promise<ToldTwice>;
  /** Asks on one port. */
  call(port: "grpc" | "http", shown: Shown, request: Json, rpc: Rpc): Promise<Called>;
  /** Opens SignSpans; close it. */
  stream(shown: Shown): SpanClient;
  /** What its log says. */
  log(): string;
  /** Puts a policy in force. */
  replace(policy: string): Promise<void>;
  /** Adds something that nobody may ever read. */
  canary(text: string): void;
  /** Adds what somebody outside could read. */
  heard(text: string): void;
}

export interface AttackedOptions {
  /** Further lines of the issuer's entry. */
  entry?: string;
  /** Whether the issuer is down when the service starts. */
  issuerIsDown?: boolean;
  /** Further entries of `issuers`. */
  otherIssuers?: string;
  /** What the issuer publishes beside its key. */
  published?(key: TestKey): Json[];
  /** Entries of the policy beside `issuers`, `tokens` and `rules`. */
  more?: string;
  /** In place of a rule for `ingest` that signs for acme. */
  rules?: string;
  /** Names of further static tokens. */
  tokens?: readonly string[];
  /** Further entries of `tokens`. */
  tokenEntries?: string;
  files?: Record<string, string>;
  /** Begins now, as certificates do. That of this machine unless another is given. */
  time?: VirtualTime;
}

export interface AttackedWorld extends AttackedService {
  /** Its policy. */
  policy: string;
  /** Static tokens by name; `auditor` may read the trail, Status and metrics. */
  tokens: Readonly<Record<string, string>>;
}

const ingestSigns = `  - { name: ingest, who: { jwt: { issuer: sso, subject: ingest } }, roles: [sign], tenants: [acme] }
`;

export async function startAttacked(options: AttackedOptions = {}): Promise<AttackedWorld> {
  const { entry = "", otherIssuers = "", more = "", rules = ingestSigns, files = {} } = options;
  const key = sharedKey("RS256", "k");
  const issuer = await startHttpsIssuer(key.jwk, ...(options.published?.(key) ?? []));
  if (options.issuerIsDown) issuer.answer = (response) => response.destroy();
  const names = ["auditor", ...(options.tokens ?? [])];
  const made = names.map((name) => ({ name, ...newStaticToken() }));
  const policy = `version: 1
${more}issuers:
  - { name: sso, issuer: "${issuer.url}", jwks: "${issuer.url}/jwks", ca: issuer.pem, audience: fluo-kms${entry} }
${otherIssuers}tokens:
${options.tokenEntries ?? ""}${made.map(({ name, sha256 }) => `  - { name: ${name}, sha256: "${sha256}", expires: 2099-01-01 }\n`).join("")}rules:
  - { name: auditor, who: { token: auditor }, roles: [audit, status, metrics, generate-data-key], tenants: "*" }
${rules}`;
  const log = captureLog();
  const everyMs = vi.spyOn(globalThis, "setInterval");
  const service = await startService(
    {
      "fluo.kms.log.level": "trace",
      // Hours pass at once in some tests,
      "fluo.kms.connection.idle": "7d",
      "fluo.kms.connection.max-age": "7d",
      // and most attacks would get the same answer, that there are too many.
      "fluo.kms.limit.failures": "0",
    },
    { tls: true, files: { "policy.yaml": policy, "issuer.pem": issuer.ca, ...files }, time: options.time },
  );
  const refreshes = everyMs.mock.calls.filter(([, ms]) => ms === 600_000).map(([refresh]) => refresh as () => void);
  everyMs.mockRestore();
  const tokens = Object.fromEntries(made.map(({ name, token }) => [name, token]));
  const secret = `canary-${newStaticToken().sha256}`;
  const canaries = new Set([secret]);
  const [heard, explained]: [string[], Json[]] = [[], []];
  const plain = service.client();
  const agent = new Agent({ keepAlive: true });

  const claims = (changed: Json = {}): Json => {
    const second = Math.floor((options.time ?? realTime).now().getTime() / 1_000);
    const times = { iat: second, exp: second + 600 };
    // Each is another, as what a token got is remembered.
    const all = {
      iss: issuer.url,
      aud: "fluo-kms",
      sub: "ingest",
      ...times,
      jti: explained.length,
      secret,
      ...changed,
    };
    explained.push(all);
    return all;
  };

  /** What is shown with a call on both ports, and never said. */
  function show({ authorization, certificate }: Shown): void {
    if (authorization !== undefined) addToken(canaries, authorization);
    if (certificate !== undefined) for (const line of linesOf(certificate.key)) canaries.add(line);
  }

  const call: AttackedService["call"] = async (port, shown, request, rpc) => {
    show(shown);
    const [method, message] = requestFor(rpc, request);
    const client = shown.certificate && port === "grpc" ? service.client(shown.certificate) : plain;
    try {
      const called =
        port === "grpc"
          ? await byGrpc(client, method, toBinary(method.input, message), shown)
          : await byHttp({ service, agent }, method, toJsonString(method.input, message), shown);
      heard.push(JSON.stringify(called.told), called.refusal);
      return called;
    } finally {
      if (client !== plain) client.close();
    }
  };

  const ask: AttackedService["ask"] = async (shown, request = {}, rpc = "signSpan") => {
    const { code, reason, message } = (await call("grpc", shown, request, rpc)).told;
    return { grpc: { code, reason, message }, http: (await call("http", shown, request, rpc)).told };
  };

  const stream: AttackedService["stream"] = (shown) => {
    show(shown);
    const metadata = new grpc.Metadata();
    if (shown.authorization !== undefined) metadata.set("authorization", shown.authorization);
    const by = { credentials: service.credentials(shown.certificate), metadata };
    return openStream(`localhost:${service.grpcPort}`, {}, {}, by);
  };

  async function audited(): Promise<AuditRow[]> {
    const events: AuditRow[] = [];
    const headers = { "content-type": "application/json", authorization: `Bearer ${tokens.auditor}` };
    for (let pageToken = ""; ; ) {
      const { status, body } = await service.http("/fluo.kms.v1.KeyAdminService/ListAuditEvents", {
        method: "POST",
        headers,
        body: JSON.stringify({ pageSize: 1_000, pageToken }),
      });
      expect(status, body).toBe(200);
      const page = JSON.parse(body) as { events?: AuditRow[]; nextPageToken?: string };
      events.push(...(page.events ?? []));
      if (!page.nextPageToken) return events;
      pageToken = page.nextPageToken;
    }
  }

  /** What a service says of itself, once the trail holds all that was done before. */
  async function said(): Promise<string> {
    const authorization = `Bearer ${tokens.auditor}`;
    const marked = await ask({ authorization }, { tenantId: "the-last" }, "generateDataKey");
    expect(marked).toEqual(accepted);
    await options.time?.advance(durableWithinMs);
    const isLast = ({ tenantId }: { tenantId?: string }) => tenantId === "the-last";
    const rows = await eventually(async () => {
      const all = await audited();
      expect(all.some(isLast)).toBe(true);
      return all;
    });
    // Strangers could fill the store.
    expect(rows.filter(({ outcome }) => outcome === "UNAUTHENTICATED")).toEqual([]);
    const paths = ["/", "/q/metrics", "/q/health", "/api/admin/kms/status", "/api/kms/whoami"];
    const answers = await Promise.all(paths.map((path) => service.http(path, { headers: { authorization } })));
    expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 200));
    return JSON.stringify([rows, answers]);
  }

  async function explanations(): Promise<string> {
    const [file, all] = [join(service.dir, "claims.json"), [] as string[]];
    for (const each of explained) {
      writeFileSync(file, JSON.stringify(each));
      const { out, err } = await run([
        "policy",
        "explain",
        join(service.dir, "policy.yaml"),
        ...[...["--issuer", "sso", "--claims", file]],
      ]);
      all.push(out, err);
    }
    return all.join("\n");
  }

  return {
    ...service,
    issuer,
    key,
    policy,
    tokens,
    claims,
    ask,
    call,
    stream,
    log: log.text,
    token: (changed, header) => tokenBy(key, claims(changed), header),
    refreshKeys() {
      for (const refresh of refreshes) refresh();
    },
    replace: (text) => service.write({ "policy.yaml": text }),
    canary: (text) => void addToken(canaries, text),
    heard: (text) => void heard.push(text),
    async stop() {
      try {
        heard.push(await said(), await explanations());
      } finally {
        plain.close();
        agent.destroy();
        await service.stop();
        log.restore();
        await issuer.stop();
      }
      const texts = [...heard, log.text()];
      expect(texts.at(-1)).toContain("stopped");
      const found = [...canaries].filter((canary) => texts.some((text) => text.includes(canary)));
      expect(found, "attack 62: nothing says a credential").toEqual([]);
    },
  };
}

interface AuditRow {
  actor: string;
  outcome: string;
  tenantId?: string;
}

/** A token, each part of it that is a secret, and its hash. */
function addToken(canaries: Set<string>, authorization: string): void {
  const token = authorization.replace(/^bearer +/i, "");
  const [, ...parts] = token.split(".");
  for (const each of [token, ...parts]) if (each.length >= 24) canaries.add(each);
  for (const encoding of ["hex", "base64", "base64url"] as const) canaries.add(hash("sha256", token, encoding));
}

function linesOf(pem: string): string[] {
  return pem.split("\n").filter((line) => line.length > 24 && !line.startsWith("---"));
}
