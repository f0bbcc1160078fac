/** docs/LIMITS.md against the constants of the code: every row states one of the limits below, and every limit has its row. */
import { readFileSync } from "node:fs";
import { getDefaultSettings } from "node:http2";
import { join } from "node:path";
import { expect, it } from "vitest";
import { maxClaimedTenants } from "../../src/auth/policy/grants.ts";
import { maxPolicyBytes } from "../../src/auth/policy/text.ts";
import { maxRules } from "../../src/auth/policy/rules.ts";
import { maxIssuers } from "../../src/auth/policy/trust.ts";
import { maxTokenBytes } from "../../src/auth/token/bearer.ts";
import { keysMaxStaleMs } from "../../src/auth/in-force.ts";
import { pauseMs, refreshMs } from "../../src/auth/token/issuer-keys.ts";
import { maxKeys } from "../../src/auth/token/jwks.ts";
import * as remembered from "../../src/auth/token/cache.ts";
import { settings } from "../../src/config/known-settings.ts";
import { checksEveryMs, standardFailures } from "../../src/config/load.ts";
import { maxContextBytes, maxContextPairs } from "../../src/crypto/encryption-context.ts";
import { dayMs, lapsesAfterMs } from "../../src/keys/destruction/two-person.ts";
import { recordTimes } from "../../src/keys/keyring.ts";
import { strangerBounds } from "../../src/limits/connection-settings.ts";
import { itemsAUnit } from "../../src/limits/calls.ts";
import { failureBurstSeconds } from "../../src/limits/failures.ts";
import { maxBuckets } from "../../src/limits/keyed-buckets.ts";
import { burstSeconds, maxDebtMs } from "../../src/limits/token-bucket.ts";
import { lineMs, recentMs } from "../../src/limits/log.ts";
import { clocksApartMs } from "../../src/keys/destruction/time-rule.ts";
import { maxValueBytes } from "../../src/envelope/envelope.ts";
import { defaultResilience } from "../../src/provider/call-policies.ts";
import { maxActors, maxNamesOfRow } from "../../src/audit/aggregated-refusals.ts";
import { maxNames, maxRows } from "../../src/audit/refusals.ts";
import { durableWithinMs, stopsWithinMs } from "../../src/audit/trail.ts";
import { atOnce as atOnceCalls } from "../../src/service/at-once.ts";
import { maxHeads } from "../../src/audit/verify-trail.ts";
import { tenantIdPattern } from "../../src/call/ids.ts";
import { mostCharacters } from "../../src/integrity/findings.ts";
import { findingsShown } from "../../src/service/kms/status-handler.ts";
import { destructionDays, longerMs, mayBeMissingMs } from "../../src/keys/destruction/waits.ts";
import { maxSize } from "../../src/service/page.ts";
import { maxFields, maxNameBytes, maxTotalBytes } from "../../src/service/kms/pii-limits.ts";
import { maxKeyIds } from "../../src/service/kms/public-key-set.ts";
import { maxLimit } from "../../src/service/kms/rotate-handler.ts";
import { maxLevels } from "../../src/otlp/any-value.ts";
import { maxAttributes } from "../../src/otlp/attributes.ts";
import { maxSpans } from "../../src/batch/spans.ts";
import { logRequestRetentionMs } from "../../src/store/log-store.ts";
import { requestRetentionMs } from "../../src/store/key-store.ts";
import { mostNoted } from "../../src/store/head-notes.ts";
import { arrivingLimits, frameCost } from "../../src/transport/grpc/http2/receive-bound.ts";
import { maxAdminBodyBytes } from "../../src/transport/http/body.ts";
import { maxHeldBytes, streamsShare } from "../../src/transport/budget.ts";
import { atOnce, maxWaiting } from "../../src/transport/decompress.ts";
import { maxForeignBytes } from "../../src/transport/grpc/http2/compression.ts";
import { maxHeldBytes as maxHeldAtDoor, strangersPerTurn } from "../../src/transport/grpc/door.ts";
import { graceMs, renewMs } from "../../src/transport/policy-door.ts";
import { bodyCost, chunkCost, maxBodyBytes, slowMs } from "../../src/transport/connections/body-budget.ts";
import { hurry } from "../../src/transport/connections/connections.ts";
import { makesWayMs, mostNew, strangersOfNetwork, strangersShare } from "../../src/transport/connections/table.ts";
import { mostCallsInTurn } from "../../src/transport/connections/open-connection.ts";
import { newMs } from "../../src/transport/connections/strangers.ts";
import { resetRate, workRate } from "../../src/transport/connections/address-budgets.ts";
import { mostWaitMs, perTurn as connectionsPerTurn, shutWaitMs } from "../../src/transport/connections/accept-queue.ts";
import { sliceFields } from "../../src/service/kms/field-slices.ts";
import { largeBytes } from "../../src/transport/stages.ts";
import { turnMs } from "../../src/transport/grpc/run-after-parse.ts";
import { openCallLimits } from "../../src/transport/grpc/open-calls.ts";
import { maxConcurrentStreams } from "../../src/transport/grpc/server.ts";
import { maxHeaderBytes, maxMessageBytes } from "../../src/transport/limits.ts";
import { limits as httpLimits } from "../../src/transport/http/server.ts";
import { retryDelayMs } from "../../src/transport/error-status.ts";
import { atWork, defaultTimes } from "../../src/transport/grpc/stream/streams.ts";
import { smallBytes, unreadLimits } from "../../src/transport/grpc/http2/send-bound.ts";
import { memoryBounds, mostSpans } from "../bulk-streams/memory-bounds.ts";
import { differences, type Fact, rowsOf } from "./tables.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "LIMITS.md"), "utf8");

const count = (number: number) => number.toLocaleString("en");

function bytes(number: number): string {
  for (const [unit, name] of [
    [2 ** 20, "MiB"],
    [2 ** 10, "KiB"],
  ] as const) {
    if (number >= unit && number % unit === 0) return `${number / unit} ${name}`;
  }
  return count(number);
}

function time(ms: number | undefined): string {
  if (ms === undefined || ms < 1_000) return `${ms} ms`;
  return ms < 3_600_000 ? `${ms / 1_000} s` : `${ms / 3_600_000} h`;
}

/** Returns the largest number from 0 to 999 that is taken. */
function largest(isTaken: (number: number) => boolean): number {
  return Array.from({ length: 1_000 }, (_, number) => number).findLast(isTaken)!;
}

function canCheckEvery(seconds: number): boolean {
  try {
    return settings["kms.provider.check-interval"].parse(`${seconds}s`) > 0;
  } catch {
    return false;
  }
}

const { firstCallMs, resetsPerSecond, headerWorkMs } = strangerBounds;

/** Limits by their rows. */
const limits: Record<string, string> = {
  "a message, in or out": bytes(maxMessageBytes),
  "the body of an administration request over HTTP": bytes(maxAdminBodyBytes),
  "headers of a request": bytes(maxHeaderBytes),
  "time for the headers of an HTTP request to arrive": time(httpLimits.headersTimeout),
  "time for a whole HTTP request to arrive": time(httpLimits.requestTimeout),
  "characters of a tenant id": count(largest((length) => tenantIdPattern.test("a".repeat(length)))),
  "PII fields a call": count(maxFields),
  "bytes of a PII value": bytes(maxValueBytes),
  "bytes of all PII values of a call": bytes(maxTotalBytes),
  "bytes of a PII field's name": bytes(maxNameBytes),
  "pairs of an encryption context": count(maxContextPairs),
  "bytes of an encryption context": bytes(maxContextBytes),
  "attributes in one list of a span": count(maxAttributes),
  "levels of a nested attribute value": count(maxLevels),
  "keys or audit rows a page": count(maxSize),
  "key ids in a call of GetPublicKeys": count(maxKeyIds),
  "heads of audit writers in an answer": count(maxHeads),
  "due keys that a call of Rotate rotates": count(maxLimit),

  "requests held at once, both transports together": bytes(maxHeldBytes),
  "wait before a retry when the service is overloaded": time(retryDelayMs.OVERLOADED),
  "gRPC requests that are not whole yet, all connections": bytes(arrivingLimits.bytes),
  "bytes that each chunk of such a request counts in addition": bytes(frameCost),
  "age at which such a request may be reset for another": time(arrivingLimits.patienceMs),
  "compressed messages that are decompressed at once": count(atOnce),
  "compressed messages that wait for it": count(maxWaiting),
  "a compressed health or reflection request": bytes(maxForeignBytes),
  "gRPC responses that are not read yet, all connections": bytes(unreadLimits.bytes),
  "size up to which a response does not count as unread": bytes(smallBytes),
  "age at which an unread response may be reset": time(unreadLimits.patienceMs),
  "unary gRPC calls that are open at once, all connections": count(openCallLimits.calls),
  "gRPC calls and streams at once, per connection": count(maxConcurrentStreams),

  "time between two Validates, or VerifyAudits, of a caller": time(checksEveryMs),
  "VerifyAudits at once": count(atOnceCalls.verifyAudit),
  "ListAuditEvents at once": count(atOnceCalls.listAuditEvents),
  "ListKeys at once": count(atOnceCalls.listKeys),
  "Status at once": count(atOnceCalls.status),
  "GetPublicKeys at once": count(atOnceCalls.getPublicKeys),
  "`jwks.json` at once": count(atOnceCalls.publicKeySet),
  "GetCheckpoint at once": count(atOnceCalls.getCheckpoint),
  "GetInclusionProof at once": count(atOnceCalls.getInclusionProof),
  "GetConsistencyProof at once": count(atOnceCalls.getConsistencyProof),
  "tiles of logs at once": count(atOnceCalls.getTile),

  "open connections, `fluo.kms.connection.max`": count(Number(settings["fluo.kms.connection.max"].standard)),
  "of these, those of strangers": count(Number(settings["fluo.kms.connection.max"].standard) * strangersShare),
  "of these, those of strangers of a network": count(strangersOfNetwork),
  "age at which one of these makes way for the next": time(makesWayMs),
  "time for which a stranger is new": time(newMs),
  "new strangers of a network that has callers": count(mostNew),
  "calls that a connection begins in a turn of the loop": count(mostCallsInTurn),
  "time to the first call": time(firstCallMs),
  "the same if half of the connections are taken": time(firstCallMs * hurry),
  "time without a call, `fluo.kms.connection.idle`": settings["fluo.kms.connection.idle"].standard.replace("m", " min"),
  "new connections let in at a turn of the event loop": count(connectionsPerTurn),
  "gRPC calls of strangers looked at in a turn of the loop": count(strangersPerTurn),
  "resets by strangers a second": count(resetRate({ resetsPerSecond }).perSecond),
  "resets by strangers at once": count(resetRate({ resetsPerSecond }).burst),
  "CPU of strangers in 10 s": time(headerWorkMs),
  "resets a second on a caller's connection": count(resetRate({ resetsPerSecond }).perSecond),
  "CPU in 10 s on a caller's connection, beside its calls": time(10 * workRate({ headerWorkMs: 1 }).perSecond),
  "of this, at once": time(workRate({ headerWorkMs: 1 }).burst),
  "time that one waits so": time(mostWaitMs),
  "the same of a network that is over a budget": time(shutWaitMs),
  "connections that wait so": count(Number(settings["fluo.kms.connection.max"].standard)),
  "HTTP bodies that are not whole yet": bytes(maxBodyBytes),
  "bytes that such a body counts in addition": bytes(bodyCost),
  "bytes that each chunk of such a body counts in addition": bytes(chunkCost),
  "age at which such a body is slow": time(slowMs),
  "time of a turn of the loop in which gRPC calls begin": time(turnMs),
  "bytes of a message that waits for a turn of the loop": bytes(largeBytes),
  "PII fields worked on in a turn": count(sliceFields),

  "bytes of a token": bytes(maxTokenBytes),
  "tokens not seen lately that are verified at once": count(remembered.atOnce),
  "such tokens that wait for it": count(remembered.maxWaiting),
  "time for which a verified token is remembered": time(remembered.rememberMs),
  "time for which a refused token is remembered": time(remembered.refusedMs),
  "bytes of gRPC requests that wait for a verification": bytes(maxHeldAtDoor),
  "time between two loads of an issuer's keys": time(refreshMs),
  "time between two loads for key ids that are not there": time(pauseMs),
  "keys of an issuer": count(maxKeys),
  "time for which keys of a silent issuer are believed": time(keysMaxStaleMs),
  "time before a certificate's end at which a connection ends": time(renewMs),
  "time for streams by a certificate after a connection's age": time(graceMs),
  "bytes of a policy": bytes(maxPolicyBytes),
  "rules of a policy": count(maxRules),
  "issuers of a policy": count(maxIssuers),
  "tenants that a claim may name": count(maxClaimedTenants),

  "items that cost a call one unit more": count(itemsAUnit),
  "time whose units may come at once": time(burstSeconds * 1_000),
  "longest wait for a unit": time(maxDebtMs),
  "failures of a network a second, if not set": count(standardFailures),
  "time whose failures may come at once": time(failureBurstSeconds * 1_000),
  "callers, tenants or networks that a limit tells apart": count(maxBuckets),
  "time between two lines of the log on one limit": time(lineMs),
  "time for which Status names those on whom a limit acted": time(recentMs),

  "spans in a batch of SignSpans": count(maxSpans),
  "messages of a stream that are read and not answered": count(atWork.messages),
  "bytes of these messages; a single one may be larger": bytes(atWork.bytes),
  "bytes of a stream that wait to be read": bytes(getDefaultSettings().initialWindowSize!),
  "all streams together, of the requests held at once": bytes(maxHeldBytes * streamsShare),
  "time that an idle stream may hold memory that others need": time(defaultTimes.holdUpMs),
  "time without traffic on a stream": time(defaultTimes.idleMs),
  "time that a batch's `request_id` is remembered": time(logRequestRetentionMs),
  "time that a rotation's `request_id` is remembered": time(requestRetentionMs),

  "time from a use of a key to its durable audit row": time(durableWithinMs),
  "time from a use that gets no row until no key is used": time(stopsWithinMs),
  "names that may be made up, a minute, action and code": count(maxNames),
  "callers that are refused with such names, a minute": count(maxActors),
  "names that are told apart in a row of counted refusals": count(maxNamesOfRow),
  "a caller's named refusals that wait for the store": count(maxRows),
  "time from a state change to its effect on every replica": time(recordTimes.stateTtlMs),
  "time from a key's end at the provider to its end here": time(
    largest(canCheckEvery) * 1_000 + defaultResilience.totalTimeoutMs,
  ),
  "least wait before a key is destroyed": `${destructionDays.least} days`,
  "longest wait before a key is destroyed": `${destructionDays.most} days`,
  "time in which a second caller confirms a destruction": `${lapsesAfterMs / dayMs} days`,
  "difference of two clocks that agree": time(clocksApartMs),
  "time of a destruction's days that may pass unseen": time(mayBeMissingMs),
  "longer wait of a key whose time never comes by a clock": time(longerMs),

  "audit writers, logs and keys in a heads file, each": count(mostNoted),
  "write-ahead log of a SQLite store, `fluo.kms.sqlite.max-log`": settings["fluo.kms.sqlite.max-log"].standard,
  "findings of the examination of the store in Status": count(findingsShown),
  "characters of each text of such a finding": count(mostCharacters),

  "calls at the provider at once, per region": count(defaultResilience.maxInFlight),
  "time for a call with its wait and its retries": time(defaultResilience.totalTimeoutMs),
  "time for one attempt of a call": time(defaultResilience.attemptTimeoutMs),
  "attempts of a call after the first": count(defaultResilience.maxRetries),
  "failed attempts in a row that open the circuit breaker": count(defaultResilience.breakAfter),
  "wait before a retry when the provider is away": time(retryDelayMs.PROVIDER_UNAVAILABLE),
};

const boundMb = (spans: number) =>
  Math.max(...memoryBounds.flatMap((bound) => (bound.count === spans ? [bound.atMostMb] : [])));
const loads: Record<string, string> = {
  "100 spans a batch": `${boundMb(100)} MiB`,
  "4 MiB a batch": `${boundMb(mostSpans)} MiB`,
};

function problemsOf(text: string): string[] {
  const stated = ["what", "load"].flatMap((title) => rowsOf(text, title));
  const facts = stated.map(([name, limit]): Fact => [name!, limit!]);
  return differences(facts, Object.entries({ ...limits, ...loads }));
}

it("states every limit as the code has it, and no other", () => {
  expect(problemsOf(page)).toEqual([]);
});

it("has no number beside these in what happens beyond a limit", () => {
  expect(rowsOf(page, "what").filter(([, , beyond]) => /\d/.test(beyond!))).toEqual([]);
});

it("is refused without one of its rows, and with another number in it", () => {
  const rows = page.match(/^\| (?!what|load|--).*\n/gm)!;
  expect(rows).toHaveLength(Object.keys(limits).length + Object.keys(loads).length);
  for (const row of rows) {
    expect(problemsOf(page.replace(row, ""))).toHaveLength(1);
    expect(problemsOf(page.replace(row, row.replace(/^\|[^|]*\| (?=\d)/, "$&9")))).toHaveLength(1);
  }
});

it("is refused with a row that states no limit of the code", () => {
  expect(problemsOf(`${page}\n| what | limit |\n| --- | --- |\n| spans a day | 5 |\n`)).toEqual([
    "spans a day: on the page, not in the code",
  ]);
});
