/**
 * The door's functions alone, in a process under the service's flags: who calls, by each kind of credential that was seen before, and
 * whether they may; and what the first sight of a token costs.
 */
import { realTime } from "../../src/runtime/time.ts";
import { X509Certificate } from "node:crypto";
import pino from "pino";
import { type Authenticator, type Connection, createAuthenticator } from "../../src/auth/authenticator.ts";
import { type InForce, putInForce } from "../../src/auth/in-force.ts";
import { readPolicyFiles } from "../../src/auth/policy-files.ts";
import { type TokenCache, createTokenCache } from "../../src/auth/token/cache.ts";
import type { Caller } from "../../src/call/context.ts";
import { answerQuestions, cpuMicros } from "../child.ts";
import { tenantId } from "../requests.ts";
import { createWorld, type KnownCredential, type TokenAlgorithm } from "./credentials.ts";

export type Loop = KnownCredential | "tenant";
export type Question = { run: Loop; times: number } | { firstSight: TokenAlgorithm; times: number };

/** As the service has it. */
const clock = () => new Date();
const now = () => clock().getTime();
const world = createWorld();
const current = await inForce();
const [address, streamsUntilMs] = ["127.0.0.1", Number.POSITIVE_INFINITY];
const connection: Connection = { address, presented: presented(), streamsUntilMs };
const plain: Connection = { address, presented: undefined, streamsUntilMs };
const jwt = `Bearer ${world.token("RS256", "ann")}`;
const caller = await authenticatorWith(newMemory()).authenticate(plain, [jwt]);

const loopsOf = ({ authenticate }: Authenticator): Record<Loop, () => void> => ({
  certificate: () => expectCaller(authenticate(connection, [])),
  static: () => expectCaller(authenticate(plain, [`Bearer ${world.staticToken}`])),
  jwt: () => expectCaller(authenticate(plain, [jwt])),
  tenant: () => void caller.authorize(tenantId, "generate-data-key"),
});

answerQuestions<Question>(
  async (question) => {
    if ("firstSight" in question) return firstSights(question.firstSight, question.times);
    const authenticator = authenticatorWith(newMemory());
    await authenticator.authenticate(plain, [jwt]);
    const loop = loopsOf(authenticator)[question.run];
    const before = cpuMicros();
    for (let left = question.times; left > 0; left -= 1) loop();
    return cpuMicros() - before;
  },
  () => {},
);

/** Microseconds of CPU, in all threads. */
async function firstSights(algorithm: TokenAlgorithm, times: number): Promise<number> {
  const headers = Array.from({ length: times }, (_, at) => `Bearer ${world.token(algorithm, `user-${at}`)}`);
  const { authenticate } = authenticatorWith(newMemory());
  const before = cpuMicros();
  for (const header of headers) await authenticate(plain, [header]);
  return cpuMicros() - before;
}

async function inForce(): Promise<InForce> {
  const { files, problems } = readPolicyFiles(world.policy.file, { nowMs: Date.now(), strict: false, tls: "own" });
  if (files === undefined) throw new Error(problems.map(({ text }) => text).join("; "));
  const settings = { profile: "dev", proxies: {} };
  const parts = { settings, log: pino({ level: "error" }), time: realTime, changed() {} };
  const put = putInForce(files, undefined, parts);
  await Promise.all(put.issuers.all.map(({ keys }) => keys.reload()));
  return put;
}

function presented() {
  const leaf = new X509Certificate(world.certificate.chain);
  return { leaf, chain: [], unverified: undefined };
}

function newMemory(): TokenCache {
  return createTokenCache({ issuers: () => current.issuers, isNamed: () => true, now });
}

function authenticatorWith(tokens: TokenCache): Authenticator {
  return createAuthenticator({ loaded: () => current.loaded, tokens, now });
}

function expectCaller(found: Caller | Promise<Caller>): void {
  if (found instanceof Promise) throw new Error("what was seen before takes time");
}
