/** `rewrap`: all keys of a running service under its current provider key, page by page, until nothing remains. */
import { type Command, exitCode, Failure, jsonOption, type OptionValues } from "../command.ts";
import { printError, printJson, printLine, printTable } from "../print.ts";
import { type Progress, startProgress } from "../progress.ts";
import { callService, serviceDetails, serviceOptions } from "../service-client.ts";

interface Answer {
  provider?: string;
  providerKeyId?: string;
  storeKeyRewrapped?: boolean;
  rewrapped?: number;
  failed?: Failed[];
  interrupted?: { message?: string };
  /** 64-bit numbers are strings in protobuf's JSON, and zeros are left out. */
  remaining?: string;
  others?: { provider?: string; providerKeyId?: string; keys?: string }[];
  nextPageToken?: string;
}

interface Failed {
  /** Absent for the store key. */
  key?: { tenantId: string; purpose: string; keyId: string; version: number };
  error?: { code?: number; message?: string };
}

/** Of all pages. */
interface Total {
  target: { provider: string; providerKeyId: string } | undefined;
  storeKey: boolean;
  keys: number;
  /** By key id, since the first page was asked for last; the store key's is empty. */
  failed: Map<string, Failed>;
  interrupted: string | undefined;
  remaining: number;
  others: NonNullable<Answer["others"]>;
}

const timeoutMs = 280_000;
const linesEveryMs = 5_000;
const pageKeys = 100;
/** Nothing is done: there is no progress to show. */
const dryPageKeys = 1_000;
/** More than anyone reads at once are counted; --json has all. */
const shownFailures = 20;

export const rewrap: Command = {
  name: "rewrap",
  summary: "Wraps every key that another provider key wrapped under the current one, while the service runs.",
  options: [...serviceOptions, { name: "dry-run", description: "say what would be done" }, jsonOption],
  details: [
    "The provider key that wrapped them must be configured too (fluo.kms.other.provider …). May be ended at any time: run again, it goes on.",
    "Exit code 0 says that nothing remains; with --dry-run, that nothing is known to fail.",
    ...serviceDetails,
  ],
  async run(options) {
    const isDry = options["dry-run"] === true;
    const total = await rewrapAll(options, isDry);
    if (options.json === true) printJson(json(total, isDry));
    else print(total, isDry);
    const isDone = total.failed.size === 0 && total.interrupted === undefined && (isDry || total.remaining === 0);
    return isDone ? exitCode.ok : exitCode.failed;
  },
};

function emptyTotal(): Total {
  const nothing = { storeKey: false, keys: 0, interrupted: undefined, remaining: 0, others: [] };
  return { target: undefined, failed: new Map(), ...nothing };
}

/** Begins again as long as that does something: keys are made meanwhile by replicas with yesterday's settings. */
async function rewrapAll(options: OptionValues, isDry: boolean): Promise<Total> {
  const progress = startProgress({ linesEveryMs });
  try {
    return await rewrapPages(options, isDry, progress);
  } finally {
    progress.end();
  }
}

async function rewrapPages(options: OptionValues, isDry: boolean, progress: Progress): Promise<Total> {
  const total = emptyTotal();
  let doneBefore = 0;
  for (let pageToken = ""; ; ) {
    if (pageToken === "") {
      total.failed.clear();
      doneBefore = total.keys;
    }
    const answer = await askForPage(options, { pageToken, isDry, total });
    const isDone = (answer.rewrapped ?? 0) > 0 || answer.storeKeyRewrapped === true;
    add(total, answer);
    const { keys, remaining } = total;
    if (!isDry) progress.show(`${counted(keys)} re-wrapped, ${remaining} remaining`, keys, keys + remaining);
    pageToken = answer.nextPageToken ?? "";
    const isOver = pageToken === "" && (isDry || total.remaining === 0 || total.keys === doneBefore);
    if (isOver || (total.interrupted !== undefined && !isDone)) {
      if (!isDry && total.remaining === 0) total.failed.clear(); // another replica did it
      return total;
    }
  }
}

interface Page {
  pageToken: string;
  isDry: boolean;
  /** Of the pages before. */
  total: Total;
}

async function askForPage(options: OptionValues, { pageToken, isDry, total }: Page): Promise<Answer> {
  const body = { pageSize: isDry ? dryPageKeys : pageKeys, pageToken, dryRun: isDry };
  const path = "/fluo.kms.v1.KeyAdminService/RewrapKeys";
  let answer: Answer;
  try {
    answer = (await callService(options, { method: "POST", path, body, timeoutMs })).json;
  } catch (error) {
    if (!(error instanceof Failure) || total.keys === 0) throw error;
    throw new Failure(
      `${error.message}\n${counted(total.keys)} re-wrapped before that; run it again to go on`,
      error.json,
    );
  }
  const [before, now] = [nameOf(total.target), nameOf(answer)];
  if (total.target === undefined || before === now) return answer;
  const message = `replicas behind this address differ in their current provider key: ${before}, ${now}`;
  throw new Failure(`${message}; give all of them the same settings, then run it again`);
}

function add(total: Total, answer: Answer): void {
  total.target = { provider: answer.provider ?? "", providerKeyId: answer.providerKeyId ?? "" };
  total.storeKey ||= answer.storeKeyRewrapped === true;
  total.keys += answer.rewrapped ?? 0;
  for (const failed of answer.failed ?? []) total.failed.set(failed.key?.keyId ?? "", failed);
  total.interrupted = answer.interrupted && (answer.interrupted.message ?? "a provider does not answer");
  total.remaining = Number(answer.remaining ?? 0);
  total.others = answer.others ?? [];
}

function print({ target, storeKey, keys, failed, interrupted, remaining, others }: Total, isDry: boolean): void {
  const ofStore = storeKey ? " and the store key" : "";
  const shown = [...failed.values()].slice(0, shownFailures);
  const more = failed.size - shown.length;
  printTable([
    ["target", nameOf(target)],
    [isDry ? "would re-wrap" : "re-wrapped", counted(keys) + ofStore],
    ["failed", failed.size === 0 ? "none" : `${failed.size}`],
    ["remaining", remaining === 0 ? "none" : `${remaining}`],
  ]);
  printTable(
    shown.map(({ key, error }) =>
      key === undefined
        ? ["failed", "the store key", "", "", "", error?.message ?? ""]
        : ["failed", key.tenantId, purposeOf(key.purpose), `v${key.version}`, key.keyId, error?.message ?? ""],
    ),
    "  ",
  );
  if (more > 0) printLine(`  and ${more} more`);
  for (const other of others) {
    printLine(`under ${nameOf(other)}: ${counted(Number(other.keys ?? 0))}`);
  }
  if (interrupted !== undefined) printError(`fluo-kms: ended early: ${interrupted}; run it again to go on`);
  else if (!isDry && remaining > failed.size) {
    printError("fluo-kms: what remains and did not fail is just being made; run it again in ten minutes");
  }
}

function json({ target, storeKey, keys, failed, interrupted, remaining, others }: Total, isDry: boolean) {
  return {
    ok: failed.size === 0 && interrupted === undefined && (isDry || remaining === 0),
    dry_run: isDry,
    provider: target?.provider,
    provider_key_id: target?.providerKeyId,
    store_key_rewrapped: storeKey,
    rewrapped: keys,
    failed: [...failed.values()].map(({ key, error }) => ({
      tenant_id: key?.tenantId ?? "",
      purpose: key === undefined ? null : purposeOf(key.purpose),
      key_id: key?.keyId ?? "",
      version: key?.version ?? 0,
      code: error?.code ?? 0,
      message: error?.message ?? "",
    })),
    interrupted: interrupted ?? null,
    remaining,
    others: others.map((other) => ({
      provider: other.provider,
      provider_key_id: other.providerKeyId,
      keys: Number(other.keys ?? 0),
    })),
  };
}

function nameOf(by: Pick<Answer, "provider" | "providerKeyId"> | undefined): string {
  return `${by?.provider} ${by?.providerKeyId}`;
}

/** `KEY_PURPOSE_DATA`: data. */
function purposeOf(name: string): string {
  return name.replace(/^KEY_PURPOSE_/, "").toLowerCase();
}

function counted(keys: number): string {
  return keys === 1 ? "1 key" : `${keys} keys`;
}
