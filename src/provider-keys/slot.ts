/**
 * One provider key of tenants, named by the configuration: opened by itself, tried again until that succeeds, and
 * watched from then on.
 */
import { KmsError } from "../errors.ts";
import type { Provider } from "../provider/provider.ts";
import type { ProviderSettings } from "../provider/registry.ts";
import type { ResilientProvider } from "../provider/resilience.ts";
import type { KeyNames } from "./names.ts";
import type { ProviderCondition, ProviderWatch } from "./watch.ts";
import type { Time, Timer } from "../runtime/time.ts";

export interface OpenKey {
  readonly watch: ProviderWatch;
  /** The key itself, which answers also while its watch refuses it. */
  readonly unguarded: ResilientProvider;
}

export interface Slot {
  readonly name: string;
  readonly settings: ProviderSettings;
  readonly open: OpenKey | undefined;
  /** Never rejects. */
  readonly firstTry: Promise<void>;
  /** The outcome of the last look, or of the last try to open it. */
  condition(): KeyCondition;
  close(): Promise<void>;
}

export type KeyCondition = Pick<ProviderCondition, "condition" | "detail" | "advice" | "since" | "latencyMs">;

export interface SlotParts {
  names: KeyNames;
  open(settings: ProviderSettings): Promise<ResilientProvider>;
  watch(provider: Provider): Promise<ProviderWatch>;
  time: Time;
  /** Hears of each key that was opened, before it is used. */
  opened(name: string, key: OpenKey): void;
  /** Hears of each key that could not be opened, on the first try and when the reason changes. */
  failed(name: string, error: unknown): void;
  /** Between tries: the first, and the longest, to which each is twice the one before. */
  retryMs?: number;
  longestRetryMs?: number;
}

/** Begins to open the key at once. */
export function slot(name: string, settings: ProviderSettings, parts: SlotParts): Slot {
  const { time, retryMs = 1_000, longestRetryMs = 30_000 } = parts;
  let open: OpenKey | undefined;
  let giveNameBack = () => {};
  let failure: KmsError | undefined;
  let since = time.now();
  let isClosed = false;
  let timer: Timer | undefined;

  async function tryToOpen(nextMs: number): Promise<void> {
    try {
      const unguarded = await parts.open(settings);
      if (isClosed) return await unguarded.close();
      const watch = await parts.watch(unguarded);
      if (isClosed) return await closeOpen({ watch, unguarded });
      const key = { watch, unguarded };
      takeName(key);
      open = key;
      parts.opened(name, open);
    } catch (error) {
      if (!isClosed) fail(error, nextMs);
    }
  }

  function fail(error: unknown, nextMs: number): void {
    if (failure?.message !== messageOf(error)) {
      since = time.now();
      parts.failed(name, error);
    }
    failure = asFailure(error);
    timer = time.after(nextMs, () => void tryToOpen(Math.min(2 * nextMs, longestRetryMs)));
  }

  /** Nothing of a key whose name is another's is used: neither it nor what its watch sees. */
  function takeName(key: OpenKey): void {
    try {
      giveNameBack = parts.names.take({ owner: `provider key ${name}`, key: key.unguarded, settings, giveWay });
    } catch (error) {
      abandon(key);
      throw error;
    }
  }

  function giveWay(why: KmsError): void {
    const was = open;
    open = undefined;
    if (was !== undefined) abandon(was);
    fail(why, longestRetryMs);
  }

  return {
    name,
    settings,
    get open() {
      return open;
    },
    firstTry: tryToOpen(retryMs),
    condition() {
      if (open !== undefined) return open.watch.current();
      const condition = failure?.code === "PROVIDER_DENIED" ? "denied" : "unavailable";
      const detail = failure?.message ?? "is being opened";
      return { condition, detail, advice: failure?.advice, since, latencyMs: 0 };
    },
    async close() {
      isClosed = true;
      time.clear(timer); // a try that is under way closes what it opened
      giveNameBack();
      if (open !== undefined) await closeOpen(open);
    },
  };
}

async function closeOpen({ watch, unguarded }: OpenKey): Promise<void> {
  watch.stop();
  await unguarded.close();
}

/** Nobody waits for it, or would know what to do where that fails. */
function abandon(key: OpenKey): void {
  closeOpen(key).catch(() => {});
}

/** A setting that is wrong is nobody's request: which, and what it says, is for operators. */
function asFailure(error: unknown): KmsError {
  if (!(error instanceof KmsError)) return new KmsError("PROVIDER_UNAVAILABLE", "internal error, see the log");
  if (error.code === "PROVIDER_UNAVAILABLE") return error;
  if (error.code === "INVALID_ARGUMENT") {
    const advice = [error.message, error.advice].filter((each) => each !== undefined).join(". ");
    return new KmsError("PROVIDER_DENIED", "its settings cannot be used, see the log", { cause: error, advice });
  }
  return new KmsError("PROVIDER_DENIED", error.message, { cause: error, advice: error.advice });
}

function messageOf(error: unknown): string {
  return asFailure(error).message;
}
