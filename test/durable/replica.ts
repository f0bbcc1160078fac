/**
 * A replica without its transport, as a process of its own: a keyring over the store that the others have too. It is started by
 * replicas.ts, takes commands over IPC and answers each; it can be held before a call of its store, or stop itself at a step.
 */
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { wholeKeyring } from "../support/whole-keyring.ts";
import type { Purpose } from "../../src/store/key-record.ts";
import type { RotateRequest, RotationResult } from "../../src/keys/rotation/rotation.ts";
import { rotationRuns } from "../../src/keys/rotation/run.ts";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { openProvider } from "../../src/provider/registry.ts";
import { type StepName, steps } from "../../src/failpoints.ts";
import { openStore, type StoreSettings } from "../../src/store/registry.ts";
import type { Attribution } from "../../src/store/audit-store.ts";
import type { Store } from "../../src/store/store.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "../support/wall-time.ts";

export interface ReplicaOptions {
  store: StoreSettings;
  masterKeyFile: string;
  /** How long a state is believed without news; 30 s unless given. */
  stateTtlMs?: number;
}

/** A key that the replica wanted to make ACTIVE, and `OK` or the refusal. */
export interface TriedActivation {
  tenantId: string;
  keyId: string;
  outcome: string;
}

/** Errors do not survive the channel: `CODE: message`. */
export type PlainRotationResult = Omit<RotationResult, "failed"> & {
  failed: { tenantId: string; purpose: Purpose; error: string }[];
};

export type Commands = Awaited<ReturnType<typeof openReplica>>;

export type Message =
  | { id: number; value: unknown }
  | { id: number; error: { code: KmsErrorCode | undefined; message: string } }
  /** It is held before this call of its store, until `release`. */
  | { held: keyof Store };

interface Stop {
  at: StepName;
  /** It does not count before this one. */
  after?: StepName;
}

const by: Attribution = { actor: "ann", requestId: "" };

async function openReplica({ store: settings, masterKeyFile, stateTtlMs }: ReplicaOptions) {
  const [provider] = await openProvider({ name: "local", masterKeyFile }, realTime);
  const activations: TriedActivation[] = [];
  const gate = createGate();
  const store = watched(
    await unlockStore(await openStore(settings, realTime), providerKeys({ current: provider }), realTime),
    gate.pass,
    activations,
  );
  const keyring = wholeKeyring({ store, provider, ...(stateTtlMs !== undefined && { stateTtlMs }) });
  let stop: Stop | undefined;
  steps.subscribe((name) => {
    if (stop === undefined) return;
    if (stop.after === name) stop = { at: stop.at };
    else if (stop.at === name && stop.after === undefined) {
      stop = undefined;
      process.kill(process.pid, "SIGSTOP");
    }
  });
  const active = (tenantId: string, purpose: Purpose) =>
    purpose === "data" ? keyring.activeDataKey(tenantId) : keyring.activeSigningKey(tenantId);

  return {
    async rotate(request: RotateRequest) {
      return plain(await keyring.rotate(request));
    },

    /**
     * Ids of the keys to protect with, made if need be, all asked for at once. As a client does, it asks again where the store was not
     * available: a call waits 5 s for a connection at most, and all of them share a few.
     */
    async activeKeys(tenantIds: readonly string[], purpose: Purpose) {
      let retries = 0;
      const keyId = async (tenantId: string): Promise<string> => {
        try {
          return (await active(tenantId, purpose)).keyId;
        } catch (error) {
          if (!(error instanceof KmsError) || error.code !== "STORE_UNAVAILABLE") throw error;
          retries += 1;
          return keyId(tenantId);
        }
      };
      return { keyIds: await Promise.all(tenantIds.map(keyId)), retries };
    },

    /** What comes of using a data key by id: `OK`, or the code. */
    openWith: (tenantId: string, keyId: string) => outcomeOf(async () => keyring.dataKey(tenantId, keyId)),

    /** What comes of protecting with the tenant's key: `OK`, or the code. */
    protect: (tenantId: string) => outcomeOf(async () => keyring.activeDataKey(tenantId)),

    async disable(tenantId: string, keyId: string) {
      await keyring.disable({ tenantId, keyId, by });
    },

    /** One run of the rotation under the lease. Says what each batch came to, and what ended the run early. */
    async runRotation(leaseTtlMs: number) {
      const batches: PlainRotationResult[] = [];
      const runs = rotationRuns({
        rotation: keyring,
        store,
        plannedAfter: () => new Date(0),
        holder: `replica ${process.pid}`,
        time: wallTime(() => new Date()),
        leaseTtlMs,
        report: (batch) => batches.push(plain(batch)),
      });
      const outcome = await runs.runIfMissed(new AbortController().signal).then(
        () => "OK",
        (error) => `${error.code ?? error.name}: ${error.message}`,
      );
      return { outcome, batches };
    },

    /** What it tried to activate since it was last asked. */
    activations: async () => activations.splice(0),

    /** The next call of this method of the store waits for `release`. */
    hold: async (method: keyof Store) => gate.close(method),
    release: async () => gate.open(),

    /** Stops this process, once, where it says. */
    stopAt: async (where: Stop) => {
      stop = where;
    },

    async end() {
      keyring.close();
      await store.close();
      setImmediate(() => process.disconnect!());
    },
  };
}

function createGate() {
  let closed: keyof Store | undefined;
  let open = () => {};
  return {
    close(method: keyof Store) {
      closed = method;
    },
    open: () => open(),
    async pass(method: keyof Store) {
      if (method !== closed) return;
      closed = undefined;
      const opened = new Promise<void>((resolve) => {
        open = resolve;
      });
      process.send!({ held: method } satisfies Message);
      await opened;
    },
  };
}

/** Every call passes the gate first, and what comes of activations is noted. */
function watched(store: Store, pass: (method: keyof Store) => Promise<void>, activations: TriedActivation[]): Store {
  const members = Object.entries(store).map(([name, member]) => {
    if (typeof member !== "function" || name === "watch") return [name, member];
    const method = member as (...given: unknown[]) => unknown;
    const call = async (...given: unknown[]) => {
      await pass(name as keyof Store);
      return method(...given);
    };
    return [name, call];
  });
  const gated = Object.fromEntries(members) as Store;
  return {
    ...gated,
    async activate(activation) {
      const { tenantId, keyId } = activation;
      try {
        const record = await gated.activate(activation);
        activations.push({ tenantId, keyId, outcome: "OK" });
        return record;
      } catch (error) {
        activations.push({ tenantId, keyId, outcome: textOf(error) });
        throw error;
      }
    },
  };
}

function plain(result: RotationResult): PlainRotationResult {
  const failed = result.failed.map(({ tenantId, purpose, error }) => ({ tenantId, purpose, error: textOf(error) }));
  return { ...result, failed };
}

function textOf(error: unknown): string {
  return error instanceof KmsError ? `${error.code}: ${error.message}` : String(error);
}

async function outcomeOf(use: () => Promise<unknown>): Promise<string> {
  try {
    await use();
    return "OK";
  } catch (error) {
    return error instanceof KmsError ? error.code : String(error);
  }
}

const answer = (message: Message) => process.connected && process.send!(message);

async function obey(commands: Commands, { id, name, args }: { id: number; name: keyof Commands; args: unknown[] }) {
  try {
    const value = await (commands[name] as (...args: unknown[]) => Promise<unknown>)(...args);
    answer({ id, value });
  } catch (error) {
    const code = error instanceof KmsError ? error.code : undefined;
    answer({ id, error: { code, message: String(error) } });
  }
}

const opening = openReplica(JSON.parse(process.argv[2]!));
process.on("message", (message: Parameters<typeof obey>[1]) => {
  opening.then(
    (commands) => obey(commands, message),
    (error) => answer({ id: message.id, error: { code: error.code, message: String(error) } }),
  );
});
// A test that was killed leaves nothing behind.
process.on("disconnect", () => process.exit());
