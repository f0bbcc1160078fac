/** A greedy caller, and the calls of another one beside it: does the second notice what the first asks for, or is refused? */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { tokenPolicy } from "../../test/support/token-policy.ts";
import { type Beside, msText, ratioText, takeBesideBoth } from "../beside.ts";
import { type Child, startChild } from "../child.ts";
import { caller } from "../client/caller.ts";
import { aligned, digits } from "../figures.ts";
import { encryptPiiRequest, rpc, tenantId } from "../requests.ts";
import { type RotatingService, startRotating } from "../rotation/service.ts";
import { signSpanRequests } from "../spans.ts";
import { temporaryDirectory } from "../temporary.ts";
import type { Greed, Question, Told } from "./greedy.ts";
import { decryptPiiRequest, encryptPiiJson } from "./large.ts";

const limit = 100;
const fields = 1_000;
const atOnce = 10;
/** Until the units that may come at once are used, and the pace is the limit's. */
const settleMs = 1_000;

const policy = tokenPolicy({
  greedy: { roles: ["sign"], limit },
  modest: { roles: ["sign"], limit },
  large: { roles: ["encrypt", "decrypt"] },
  small: { roles: ["encrypt"] },
});

export interface GreedRow extends Beside {
  name: string;
  /** The most that the ratio is to be. */
  target: number;
  greedy: Told;
  /** The same while the greedy client calls another service. */
  elsewhere: Beside;
}

interface Row {
  name: string;
  target: number;
  /** Of gRPC. */
  port: number;
  greed: Greed;
  modest: { token: string; path: string; request: Uint8Array; perSecond: number };
}

export interface GreedOptions {
  isShort?: boolean;
  /** Names of rows. */
  only?: readonly string[] | undefined;
}

export async function greed({ isShort = false, only }: GreedOptions = {}): Promise<GreedRow[]> {
  const extent = isShort ? { sliceMs: 1_000, rounds: 1 } : { sliceMs: 5_000, rounds: 3 };
  const policyFile = join(temporaryDirectory(), "policy.yaml");
  writeFileSync(policyFile, policy.text);
  const [service, other] = await Promise.all([startService(policyFile), startService(policyFile)]);
  const child = startChild("./greed/greedy.ts");
  const measured: GreedRow[] = [];
  try {
    const [rows, elsewhere] = [await rowsOf(service), await rowsOf(other)];
    for (const [index, row] of rows.entries()) {
      if (only !== undefined && !only.includes(row.name)) continue;
      measured.push(await measure(child, row, elsewhere[index]!.greed, extent));
    }
  } finally {
    await child.stop();
    await Promise.all([service.stop(), other.stop()]);
  }
  console.log(`\na caller beside a greedy one: ${limit} a second is the limit of both in the first row\n`);
  console.log(aligned(tableOf(measured)));
  return measured;
}

function startService(policyFile: string): Promise<RotatingService> {
  const dir = temporaryDirectory();
  return startRotating({
    FLUO_KMS_STORE: "sqlite",
    FLUO_KMS_SQLITE_FILE: join(dir, "kms.db"),
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "master.key"),
    FLUO_KMS_AUTH: "policy",
    FLUO_KMS_POLICY_FILE: policyFile,
    KMS_ROTATION_ENABLED: "false",
  });
}

async function rowsOf({ grpcPort, http }: RotatingService): Promise<Row[]> {
  const httpPort = Number(new URL(http).port);
  const [span] = signSpanRequests(tenantId, 1);
  const { greedy, modest, large, small } = policy.tokens as Record<"greedy" | "modest" | "large" | "small", string>;
  const encrypt = encryptPiiRequest(fields);
  const decrypt = await decryptPiiRequest(caller(grpcPort, large), encrypt);
  const byGrpc = { over: "grpc", port: grpcPort } as const;
  const inFlight = { token: large, pace: { inFlight: atOnce } };
  const single = { token: small, path: rpc("EncryptPii"), request: encryptPiiRequest(1), perSecond: 100 };
  return [
    {
      name: "limit",
      target: 2,
      port: grpcPort,
      greed: { ...byGrpc, token: greedy, path: rpc("SignSpan"), body: span!, pace: { perSecond: 10 * limit } },
      modest: { token: modest, path: rpc("SignSpan"), request: span!, perSecond: limit / 2 },
    },
    {
      name: "encrypt-pii",
      target: 5,
      port: grpcPort,
      modest: single,
      greed: { ...byGrpc, ...inFlight, path: rpc("EncryptPii"), body: encrypt },
    },
    {
      name: "decrypt-pii",
      target: 5,
      port: grpcPort,
      modest: single,
      greed: { ...byGrpc, ...inFlight, path: rpc("DecryptPii"), body: decrypt },
    },
    {
      name: "encrypt-pii-json",
      target: 5,
      port: grpcPort,
      modest: single,
      greed: { over: "http", port: httpPort, ...inFlight, path: rpc("EncryptPii"), body: encryptPiiJson(encrypt) },
    },
  ];
}

async function measure(
  child: Child,
  { name, target, port, greed, modest }: Row,
  greedElsewhere: Greed,
  extent: { sliceMs: number; rounds: number },
): Promise<GreedRow> {
  const ask = <Answer>(question: Question) => child.ask<Answer>(question);
  const greedy: Told = { seconds: 0, answered: 0, refused: 0, refusedWithWait: 0, failure: undefined };
  const greedyOne = (of: Greed, tell: (told: Told) => void) => ({
    async begin() {
      await ask({ begin: of });
      await delay(settleMs);
      await ask({ count: true });
    },
    end: async () => tell(await ask<Told>({ end: true })),
  });
  const others = greedyOne(greed, (told) => {
    for (const each of ["seconds", "answered", "refused", "refusedWithWait"] as const) greedy[each] += told[each];
    greedy.failure ??= told.failure;
  });
  const steady = { ...modest, connect: () => caller(port, modest.token) };
  const both = { others, elsewhere: greedyOne(greedElsewhere, () => {}) };
  const { beside, elsewhere } = await takeBesideBoth(steady, both, extent);
  return { name, target, ...beside, greedy, elsewhere };
}

/** All of a row's targets: the ratio, and that 99.9 % of the other's calls succeed; and that whoever is refused is told when to come back. */
function isMet({ ratio, target, calls, failed, greedy }: GreedRow): boolean {
  const areTold = greedy.refused === greedy.refusedWithWait && greedy.failure === undefined;
  return ratio.median <= target && failed <= calls / 1_000 && areTold;
}

function tableOf(rows: readonly GreedRow[]): string[][] {
  const head = [
    "beside",
    "calls",
    "succeeded",
    "p99 alone",
    "p99 beside",
    "ratio",
    "target",
    "",
    "greedy elsewhere",
    "ratio of p50",
    "elsewhere",
  ];
  return [
    [...head, "greedy: answered a second", "refused", "with one wait", "failed"],
    ...rows.map((row) => [
      row.name,
      String(row.calls),
      `${((100 * (row.calls - row.failed)) / row.calls).toFixed(2)} %`,
      msText(row.alone),
      msText(row.beside),
      ratioText(row.ratio),
      `${row.target} x`,
      isMet(row) ? "met" : "missed",
      ratioText(row.elsewhere.ratio),
      ratioText(row.p50.ratio),
      ratioText(row.elsewhere.p50.ratio),
      digits(row.greedy.answered / row.greedy.seconds),
      String(row.greedy.refused),
      String(row.greedy.refusedWithWait),
      row.greedy.failure ?? "0",
    ]),
  ];
}
