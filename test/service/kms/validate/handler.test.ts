/** Validate over a real local provider that refuses, hangs or lies where a test needs it, and over a fake of AWS KMS. */
import { notice } from "../../../../src/notices.ts";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { Outcome, ValidateRequestSchema, type ValidateResponse } from "../../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { KmsError } from "../../../../src/errors.ts";
import { wholeKeyring } from "../../../support/whole-keyring.ts";
import { watchProvider } from "../../../../src/provider-keys/watch.ts";
import { dependable } from "../../../../src/provider/failover.ts";
import { localProvider } from "../../../../src/provider/local/open.ts";
import { randomMasterKey } from "../../../../src/provider/local/master-key.ts";
import type { Provider, ProviderKeyReport } from "../../../../src/provider/provider.ts";
import { type ResilienceOptions, resilient } from "../../../../src/provider/resilience.ts";
import type { CallContext } from "../../../../src/call/context.ts";
import { withOneLetterChanged } from "../../../../src/provider/vault/wrapped.ts";
import { allIsWell } from "../../../../src/service/kms/validate/recommendations.ts";
import { type ValidateParts, validateHandlers } from "../../../../src/service/kms/validate/handler.ts";
import { memoryStore } from "../../../../src/store/sqlite/memory.ts";
import { startAwsKms } from "../../../fakes/aws-kms.ts";
import { thrownBy } from "../../../support/matchers.ts";
import { openOn, useCredentials } from "../../../support/aws-fixture.ts";
import { call } from "../../../support/service-fixture.ts";
import { realTime } from "../../../../src/runtime/time.ts";
import { wallTime } from "../../../support/wall-time.ts";

type Changes = (local: Provider) => Partial<Provider>;

const pathNames = [
  "create_data_key",
  "create_signing_key",
  "key_retrieval_cache_miss",
  "key_retrieval_cache_hit",
  "encrypt_pii",
  "decrypt_pii",
  "sign_span",
  "verify_span",
];
const refusalsAtProvider = ["refuse_wrong_context", "refuse_flipped_bit", "refuse_other_key"];
const refusalsHere = ["refuse_wrong_tenant", "refuse_wrong_field", "refuse_changed_span", "refuse_wrong_key"];
const operations = ["generate_data_key", "encrypt", "decrypt"];
const allNames = ["describe_key", ...operations, ...pathNames, ...refusalsAtProvider, ...refusalsHere];
const needDataKey = [
  "create_data_key",
  "key_retrieval_cache_miss",
  "key_retrieval_cache_hit",
  "encrypt_pii",
  "decrypt_pii",
  "refuse_wrong_tenant",
  "refuse_wrong_field",
  "refuse_wrong_key",
];
const needSigningKey = ["create_signing_key", "sign_span", "verify_span", "refuse_changed_span"];

interface Options {
  others?: Provider[];
  resilience?: Partial<ResilienceOptions>;
  parts?: Partial<ValidateParts>;
}

/** On a provider as the service has it: behind its resilience layer, and watched. */
async function watching(makeProvider: (options: ResilienceOptions) => Provider, options: Options = {}) {
  const calls = new Map<string, number>();
  const provider = makeProvider({
    time: realTime,
    ...options.resilience,
    observe({ operation, attempts }) {
      if (attempts > 0) calls.set(operation, (calls.get(operation) ?? 0) + attempts);
    },
  });
  const watches = await Promise.all(
    [provider, ...(options.others ?? [])].map((each) =>
      watchProvider({ time: realTime, provider: each, retryMs: 3_600_000 }),
    ),
  );
  onTestFinished(async () => {
    for (const watch of watches) watch.stop();
    await provider.close();
  });
  const bugs: unknown[] = [];
  const clock = () => new Date("2026-01-01T00:00:00.000Z");
  const { validate } = validateHandlers({
    providerOf: () => ({ unguarded: provider, watch: watches[0]! }),
    watches,
    probeKeyrings() {
      const store = memoryStore(realTime);
      const keyring = () => wholeKeyring({ store, time: wallTime(clock), provider: watches[0]!.provider });
      return { first: keyring(), second: keyring(), close() {} };
    },
    time: { ...wallTime(clock), monotonicMs: () => 0 }, // whatever the machine's speed
    async countProviderCalls(work) {
      calls.clear();
      return { answer: await work(), calls };
    },
    unexpected: (error) => bugs.push(error),
    breakers: () => [],
    maxStaleMs: 1,
    recommendations: [],
    faults: [],
    ...options.parts,
  });
  const run = (context: CallContext = call(), tenantId = "") =>
    validate(create(ValidateRequestSchema, { tenantId }), context);
  return { run, provider, watches, bugs };
}

function withLocal(changes: Changes = () => ({}), options: Options = {}) {
  const local = localProvider(randomMasterKey());
  return watching((resilience) => resilient({ ...local, ...changes(local) }, resilience), options);
}

async function validated(changes?: Changes, options?: Options): Promise<ValidateResponse> {
  return (await withLocal(changes, options)).run();
}

const failedIn = ({ tests }: ValidateResponse) =>
  tests.filter(({ outcome }) => outcome !== Outcome.PASS).map(({ name }) => name);
const messageOf = ({ tests }: ValidateResponse, wanted: string) => tests.find(({ name }) => name === wanted)?.message;
const inOrder = (names: readonly string[]) => allNames.filter((name) => names.includes(name));

function refusing(permission: string) {
  return async () => {
    throw new KmsError("PROVIDER_DENIED", `access to ${permission} is denied`, { advice: `Allow ${permission}.` });
  };
}

const hangs = (_1?: unknown, _2?: unknown, signal?: AbortSignal) =>
  new Promise<never>((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(new KmsError("CANCELLED", "the call was cancelled")));
  });

function reporting(report: Partial<ProviderKeyReport>): Changes {
  return (local) => ({
    async inspect(signal) {
      return { ...(await local.inspect(signal)), ...report };
    },
  });
}

/** No time passes: what is slow here is a recommendation, and the machine is not meant. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("where all is well", () => {
  it("passes every test, in order and by 11 cryptographic calls, and tells of the key", async () => {
    const { run, provider } = await withLocal();
    const answer = await run(call(), "acme");
    const { providerCalls } = answer;
    expect(providerCalls).toEqual({ describe: 1n, inspect: 1n, generate_data_key: 2n, encrypt: 2n, decrypt: 7n });
    expect(answer.tests.map(({ name }) => name)).toEqual(allNames);
    expect(failedIn(answer)).toEqual([]);
    expect(answer).toMatchObject({
      provider: "local",
      overall: Outcome.PASS,
      recommendations: [allIsWell],
      otherKeys: [],
    });
    expect(answer.key).toMatchObject({
      provider: "local",
      keyId: provider.keyId,
      state: "in this process",
      region: "",
    });
    expect(Object.keys(answer.latencyMs)).toEqual(["generate_data_key", "cache_miss", "cache_hit"]);
  });

  it("tells the calls in one order, whichever of the looks ends first", async () => {
    let inspected = () => {};
    const afterwards = new Promise<void>((resolve) => (inspected = resolve));
    let looks = 0;
    const { providerCalls } = await validated((local) => ({
      async describe(signal) {
        looks += 1;
        if (looks > 1) await afterwards; // the first is the watch's own
        return local.describe(signal);
      },
      async inspect(signal) {
        setImmediate(inspected);
        return local.inspect(signal);
      },
    }));
    expect(Object.keys(providerCalls).slice(0, 2)).toEqual(["describe", "inspect"]);
  });
});

describe("a role that lacks one permission", () => {
  it.each<[string, string[], Changes]>([
    [
      "GenerateDataKey",
      ["generate_data_key", ...needDataKey],
      () => ({ generateDataKey: refusing("GenerateDataKey") }),
    ],
    ["Encrypt", ["encrypt", ...needSigningKey], () => ({ encrypt: refusing("Encrypt") })],
    [
      "Decrypt",
      ["decrypt", ...needDataKey, ...needSigningKey, ...refusalsAtProvider],
      () => ({ decrypt: refusing("Decrypt") }),
    ],
    [
      "DescribeKey",
      ["describe_key", ...needDataKey, ...needSigningKey], // the service uses no key whose state it may not see
      () => ({ describe: refusing("DescribeKey"), inspect: refusing("DescribeKey") }),
    ],
  ])("%s is told the one thing to do, and what needs it is not tried", async (permission, failing, changes) => {
    const answer = await validated(changes);
    expect(answer.overall).toBe(Outcome.FAIL);
    const [first, ...others] = inOrder(failing);
    expect(failedIn(answer)).toEqual([first, ...others]);
    expect(answer.recommendations).toEqual([`Allow ${permission}.`]);
    expect(messageOf(answer, first!)).toBe(`PROVIDER_DENIED: access to ${permission} is denied`);
    if (first === "describe_key") return;
    for (const name of others) expect(messageOf(answer, name)).toBe(`not tried: ${first} failed`);
    expect(answer.providerCalls).toMatchObject({ describe: 1n, inspect: 1n, [first!]: 1n });
  });
});

describe("a role at AWS that lacks one permission", () => {
  useCredentials();

  it.each([
    ["DescribeKey", "describe_key"],
    ["GenerateDataKey", "generate_data_key"],
    ["Encrypt", "encrypt"],
    ["Decrypt", "decrypt"],
  ])("kms:%s reads the very statement", async (action, firstFailed) => {
    const kms = await startAwsKms({ region: "eu-west-1" });
    onTestFinished(() => kms.close());
    const key = kms.createKey();
    key.rotationDays = 365;
    const places = await openOn([kms], key.arn);
    kms.deny(({ operation }) => operation === action);
    const answer = await (await watching((resilience) => dependable(places, resilience))).run();
    expect(failedIn(answer)[0]).toBe(firstFailed);
    const statement = JSON.stringify({ Effect: "Allow", Action: `kms:${action}`, Resource: key.arn });
    expect(answer.recommendations).toEqual([expect.stringContaining(statement)]);
    expect(answer.key).toMatchObject({ keyId: key.arn, region: "eu-west-1" });
  });
});

describe("the provider's key", () => {
  it("is told of in its provider's words, and what they advise", async () => {
    const answer = await validated(reporting({ detail: "Enabled", rotation: "off", advice: ["Turn rotation on: on"] }));
    expect(answer.key).toMatchObject({ state: "Enabled", rotation: "off" });
    expect(answer).toMatchObject({ overall: Outcome.PASS, recommendations: [allIsWell, "Turn rotation on: on"] });
  });

  it("fails where it is disabled, in the provider's word and with its advice", async () => {
    const disabled = { state: "disabled", detail: "PendingDeletion" } as const;
    const answer = await validated((local) => ({
      describe: async () => disabled,
      inspect: async () => ({ ...disabled, rotation: undefined, advice: ["Cancel the deletion."] }),
      encrypt: refusing("anything"),
      generateDataKey: refusing("anything"),
      close: local.close,
    }));
    expect(messageOf(answer, "describe_key")).toBe("PROVIDER_DENIED: the key is PendingDeletion");
    expect(answer.recommendations).toEqual(["Allow anything.", "Cancel the deletion."]);
    expect(answer.key?.state).toBe("PendingDeletion");
    expect(failedIn(answer)).toEqual(allNames);
  });

  it("that is allowed or refused since the last look is found so at once, by the service too", async () => {
    let state: "enabled" | "disabled" = "disabled";
    const { run, watches } = await withLocal(() => ({ describe: async () => ({ state, detail: state }) }));
    expect(watches[0]!.current().condition).toBe("denied");
    const [refused] = failedIn(await run());
    expect(refused).toBe("describe_key");
    state = "enabled";
    expect(failedIn(await run())).toEqual([]);
    expect(watches[0]!.current().condition).toBe("answering");
    state = "disabled";
    expect(messageOf(await run(), "create_data_key")).toContain("the provider refuses its key");
    expect(watches[0]!.current().condition).toBe("denied");
  });

  it("has a second one beside it, of which only the state is asked", async () => {
    const other = localProvider(randomMasterKey());
    const asked: string[] = [];
    const watched = new Proxy(other, {
      get(target, name: keyof Provider) {
        if (typeof target[name] === "function") asked.push(name);
        return target[name];
      },
    });
    const options = { others: [watched] };
    const answer = await validated(undefined, options);
    expect(messageOf(answer, "describe_other_key")).toBe("");
    expect(answer.otherKeys).toMatchObject([{ keyId: other.keyId, state: "in this process", rotation: "" }]);
    expect(new Set(asked)).toEqual(new Set(["describe"]));
  });

  it("fails where the second one is refused", async () => {
    const others = [{ ...localProvider(randomMasterKey()), describe: refusing("Describe of the other") }];
    const answer = await validated(undefined, { others });
    expect(failedIn(answer)).toEqual(["describe_other_key"]);
    expect(answer.recommendations).toEqual(["Allow Describe of the other."]);
    expect(answer.otherKeys[0]!.state).toBe("");
  });
});

it("a tenant's own provider key that is not open is the one test there is, with what to do about it", async () => {
  const error = new KmsError("PROVIDER_DENIED", "the provider key of tenant acme, bank, is not open", {
    advice: "open it",
  });
  const providerOf = () => {
    throw error;
  };
  const { run } = await withLocal(() => ({}), { parts: { providerOf } });
  const answer = await run(call(), "acme");
  expect(answer).toMatchObject({ provider: "", overall: Outcome.FAIL, recommendations: ["open it"] });
  expect(answer.tests).toEqual([
    expect.objectContaining({
      name: "describe_key",
      outcome: Outcome.FAIL,
      message: "PROVIDER_DENIED: the provider key of tenant acme, bank, is not open",
    }),
  ]);
});

describe("the clock", () => {
  const wellBut = (words: string) => [allIsWell, expect.stringContaining(words)];

  it.each<[skew: number | undefined, told: bigint | undefined, message: string | undefined, recommended: unknown[]]>([
    [undefined, undefined, undefined, [allIsWell]],
    [1_999, 0n, "", [allIsWell]],
    [-1_999, 0n, "", [allIsWell]],
    [4_999, 4_999n, "", [allIsWell]],
    [6_000, 6_000n, "", wellBut("6 s ahead of")],
    [-300_000, -300_000n, "", wellBut("300 s behind")],
    [-301_000, -301_000n, "301 s behind the provider's", [expect.stringContaining("timedatectl")]],
  ])(
    "off by %s ms is told as %s, fails with %o, and is worth this: %o",
    async (clockSkewMs, told, message, recommended) => {
      const answer = await validated(reporting({ clockSkewMs }));
      expect(answer.key?.clockSkewMs).toBe(told);
      expect(answer.recommendations).toEqual(recommended);
      expect(failedIn(answer)).toEqual(message ? ["clock_skew"] : []);
      expect(messageOf(answer, "clock_skew")).toEqual(message && expect.stringContaining(message));
    },
  );
});

describe("a provider that accepts what it must refuse", () => {
  const lying = async () => new Uint8Array(32);

  it("fails where it ignores the context, and the key is used no more at once", async () => {
    const { run, watches } = await withLocal((local) => ({
      generateDataKey: (_, signal) => local.generateDataKey({}, signal),
      encrypt: (plaintext, _, signal) => local.encrypt(plaintext, {}, signal),
      decrypt: (wrapped, _, signal) => local.decrypt(wrapped, {}, signal),
    }));
    const answer = await run();
    expect(watches[0]!.current()).toMatchObject({ condition: "denied", lie: "wrong-context" });
    expect(failedIn(answer)).toEqual(["refuse_wrong_context"]);
    expect(messageOf(answer, "refuse_wrong_context")).toBe(
      "PROVIDER_DENIED: the provider is not to be trusted: it opened a wrapped key under another encryption context",
    );
  });

  it("fails where it opens anything", async () => {
    const answer = await validated((local) => ({ decrypt: (...given) => local.decrypt(...given).catch(lying) }));
    expect(failedIn(answer)).toEqual(refusalsAtProvider);
  });

  it("is told from one that fails to say no", async () => {
    const answer = await validated((local) => ({
      decrypt: (...given) => local.decrypt(...given).catch(refusing("errors")),
    }));
    expect(failedIn(answer)).toEqual(refusalsAtProvider);
    expect(messageOf(answer, "refuse_other_key")).toBe("PROVIDER_DENIED: access to errors is denied");
  });

  it("is tried in its own form, where that is a text", async () => {
    const seen: string[] = [];
    const answer = await validated((local) => {
      const toText = (wrapped: Uint8Array) => Buffer.from(`vault:v1:${Buffer.from(wrapped).toString("base64")}`);
      return {
        async generateDataKey(...given) {
          const { plaintext, wrapped } = await local.generateDataKey(...given);
          return { plaintext, wrapped: toText(wrapped) };
        },
        encrypt: async (...given) => toText(await local.encrypt(...given)),
        async decrypt(wrapped, ...rest) {
          const text = Buffer.from(wrapped).toString();
          const body = Buffer.from(text.slice("vault:v1:".length), "base64");
          if (`vault:v1:${body.toString("base64")}` !== text) seen.push(text);
          return local.decrypt(body, ...rest);
        },
        tampered: withOneLetterChanged,
      };
    });
    expect(failedIn(answer)).toEqual([]);
    expect(seen).toEqual([]);
  });
});

describe("a provider that gives no answer", () => {
  const hasty = { attemptTimeoutMs: 20, totalTimeoutMs: 30, maxRetries: 0, probeMs: 3_600_000 };
  const silent: Changes = () => ({
    describe: (signal) => hangs(0, 0, signal),
    inspect: (signal) => hangs(0, 0, signal),
    encrypt: hangs,
    decrypt: hangs,
    generateDataKey: hangs,
  });

  it("is asked twice and no more", async () => {
    const answer = await validated(silent, { resilience: hasty });
    expect(answer.overall).toBe(Outcome.FAIL);
    expect(failedIn(answer)).toEqual(allNames);
    expect(messageOf(answer, "describe_key")).toContain("did not answer in time");
    expect(messageOf(answer, "generate_data_key")).toContain("did not answer in time");
    expect(messageOf(answer, "encrypt")).toBe("not tried: generate_data_key failed");
    expect(answer.providerCalls).toEqual({ describe: 1n, inspect: 1n, generate_data_key: 1n });
    expect(answer.recommendations).toEqual([expect.stringContaining("The provider gives no answer")]);
    expect(answer.latencyMs).toEqual({ generate_data_key: 0, cache_miss: 0, cache_hit: 0 });
    expect(answer.key?.state).toBe("");
  });

  it("is not asked at all while its breaker is open", async () => {
    const { run, provider } = await withLocal(silent, { resilience: { ...hasty, breakAfter: 1 } });
    await thrownBy(() => provider.encrypt(new Uint8Array(1), {}));
    const answer = await run();
    expect(failedIn(answer)).toEqual(allNames);
    expect(messageOf(answer, "describe_key")).toContain("calls are paused");
    expect(answer.providerCalls).toEqual({});
  });

  it("that goes silent late leaves what needs it not to pass", async () => {
    let opened = 0;
    const answer = await validated(
      (local) => ({
        decrypt: (...given) => {
          opened += 1;
          return opened > 4 ? hangs(...given) : local.decrypt(...given);
        },
      }),
      { resilience: hasty },
    );
    expect(failedIn(answer)).toEqual(refusalsAtProvider);
    expect(messageOf(answer, "refuse_other_key")).toBe("not tried: refuse_wrong_context failed");
  });

  it("is waited for no longer than the caller waits", async () => {
    const { run } = await withLocal((local) => ({ ...silent(local), describe: local.describe }));
    const deadline = new AbortController();
    const answer = thrownBy(() => run(call({}, deadline.signal)));
    deadline.abort(new KmsError("DEADLINE_EXCEEDED", "the caller's deadline passed"));
    expect(await answer).toBeKmsError("DEADLINE_EXCEEDED", "the caller's deadline");
  });
});

describe("recommendations", () => {
  const keysInMemory = notice("KEY_IN_MEMORY", "Keys are in memory.");

  it("name places that are not asked, keys that are not served on, and what always holds, once", async () => {
    const answer = await validated(undefined, {
      parts: {
        breakers: () => [
          { name: "aws/eu-west-1", state: "open" },
          { name: "aws/eu-central-1", state: "closed" },
        ],
        maxStaleMs: 0,
        recommendations: [keysInMemory, keysInMemory],
      },
    });
    expect(answer.overall).toBe(Outcome.PASS);
    expect(answer.recommendations).toEqual([
      allIsWell,
      expect.stringContaining("Calls to aws/eu-west-1 are paused"),
      expect.stringContaining("kms.cache.max-stale is 0"),
      "Keys are in memory.",
    ]);
    expect(answer.recommendationDetails.map(({ code, subject }) => [code, subject])).toEqual([
      ["KEY_PATH_WORKS", ""],
      ["PROVIDER_PAUSED", "aws/eu-west-1"],
      ["NO_STALE_KEYS", "kms.cache.max-stale"],
      ["KEY_IN_MEMORY", ""],
    ]);
    expect(answer.recommendationDetails.map(({ text }) => text)).toEqual(answer.recommendations);
  });
});

it("tells the log of a bug, and the caller only that there is one", async () => {
  const bug = new TypeError("secret words");
  const { run, bugs } = await withLocal(() => ({ encrypt: () => Promise.reject(bug) }));
  const answer = await run();
  expect(messageOf(answer, "encrypt")).toBe("internal error: see the log of the service");
  expect(bugs).toEqual([bug]);
});

it("runs once at a time, and the next waits: their provider calls take turns", async () => {
  const called: string[] = [];
  const telling = <Given extends unknown[], T>(name: string, operation: (...given: Given) => T) => {
    return (...given: Given) => {
      called.push(name);
      return operation(...given);
    };
  };
  const { run } = await withLocal((local) => ({
    generateDataKey: telling("generateDataKey", local.generateDataKey),
    encrypt: telling("encrypt", local.encrypt),
    decrypt: telling("decrypt", local.decrypt),
  }));
  const answers = await Promise.all([run(), run(), run()]);
  expect(answers.map(({ overall }) => overall)).toEqual([Outcome.PASS, Outcome.PASS, Outcome.PASS]);
  const ofOne = called.length / 3;
  const each = [0, 1, 2].map((n) => called.slice(n * ofOne, (n + 1) * ofOne).sort());
  expect(each[0]).toHaveLength(11);
  expect(each).toEqual([each[0], each[0], each[0]]);
});
