/** Replicas as processes (replica.ts), a database for them, and an observer with a store of its own who says what is stored. */
import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { wholeKeyring } from "../support/whole-keyring.ts";
import type { KeyRecord, Purpose } from "../../src/store/key-record.ts";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { openProvider } from "../../src/provider/registry.ts";
import { openStore, type StoreSettings } from "../../src/store/registry.ts";
import type { AuditCursor } from "../../src/store/audit-store.ts";
import type { Store } from "../../src/store/store.ts";
import { fromNow } from "../support/from-now.ts";
import type { Commands, Message, ReplicaOptions } from "./replica.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "../support/wall-time.ts";

export interface Replica {
  pid: number;
  ask<Name extends keyof Commands>(
    name: Name,
    ...args: Parameters<Commands[Name]>
  ): Promise<Awaited<ReturnType<Commands[Name]>>>;
  /** Resolves when it is held; see the command `hold`. */
  held(): Promise<void>;
  /** Resolves when the process is stopped, by the command `stopAt` or from outside. */
  stopped(): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  end(): Promise<void>;
}

export function newMasterKeyFile(): string {
  return join(mkdtempSync(join(tmpdir(), "fluo-kms-replicas-")), "master.key");
}

/** Answered commands prove that it is up: it opens its store first. */
export function startReplica(options: ReplicaOptions): Replica {
  const child = fork(join(import.meta.dirname, "replica.ts"), [JSON.stringify(options)], {
    serialization: "advanced",
    env: { PATH: process.env.PATH },
    execArgv: [],
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  let lastId = 0;
  let heldCount = 0;
  let onHeld = () => {};
  child.on("message", (message: Message) => {
    if ("held" in message) {
      heldCount += 1;
      onHeld();
      return;
    }
    const call = waiting.get(message.id)!;
    waiting.delete(message.id);
    if ("value" in message) call.resolve(message.value);
    else call.reject(thrown(message.error));
  });
  child.once("exit", (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`the replica ended (${signal ?? code})`));
  });
  const ask = ((name, ...args) => {
    const answer = new Promise((resolve, reject) => {
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      child.send({ id: lastId, name, args });
    });
    answer.catch(() => {}); // a test that failed before does not wait for it
    return answer;
  }) as Replica["ask"];
  return {
    pid: child.pid!,
    ask,
    async held() {
      if (heldCount === 0) {
        await new Promise<void>((resolve) => {
          onHeld = resolve;
        });
      }
      onHeld = () => {};
      heldCount -= 1;
    },
    async stopped() {
      while (!isStopped(child)) await delay(10);
    },
    signal: (name) => child.kill(name),
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGCONT");
      ask("end").catch(() => {});
      await exited;
    },
  };
}

function thrown({ code, message }: Extract<Message, { error: unknown }>["error"]): Error {
  return code === undefined ? new Error(message) : new KmsError(code, message);
}

/** Whether the process is stopped, by SIGSTOP. */
export function isStopped({ pid }: ChildProcess): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.startsWith("T");
}

export interface Observer {
  store: Store;
  /** Gives these tenants a key that was made ACTIVE `ageMs` ago. */
  createKeys(tenantIds: readonly string[], purpose: Purpose, ageMs?: number): Promise<void>;
  /** All versions of a key, once it is sure that they are gapless, the last of them is ACTIVE and all others are RETIRED. */
  versions(tenantId: string, purpose: Purpose): Promise<KeyRecord[]>;
  /** No PENDING record is left, and the audit chains of all writers are whole. */
  expectClean(): Promise<void>;
  close(): Promise<void>;
}

export async function openObserver(settings: StoreSettings, masterKeyFile: string): Promise<Observer> {
  const [provider] = await openProvider({ name: "local", masterKeyFile }, realTime);
  const store = await unlockStore(await openStore(settings, realTime), providerKeys({ current: provider }), realTime);
  return {
    store,
    async createKeys(tenantIds, purpose, ageMs = 0) {
      const keyring = wholeKeyring({ store, provider, time: wallTime(() => fromNow(-ageMs)) });
      const active = purpose === "data" ? keyring.activeDataKey : keyring.activeSigningKey;
      await Promise.all(tenantIds.map(async (tenantId) => active(tenantId)));
      keyring.close();
    },
    async versions(tenantId, purpose) {
      const records = await store.list(tenantId, purpose);
      expect(records.map(({ version }) => version)).toEqual(records.map((_, index) => index + 1));
      expect(records.map(({ state }) => state)).toEqual([...records.slice(1).map(() => "RETIRED"), "ACTIVE"]);
      return records;
    },
    async expectClean() {
      const { byPurpose } = await store.counts();
      expect([byPurpose.data.PENDING ?? 0, byPurpose.signing.PENDING ?? 0]).toEqual([0, 0]);
      let from: AuditCursor | undefined;
      do {
        const { problems, next } = await store.verifyAudit(from, 1_000);
        expect(problems).toEqual([]);
        from = next;
      } while (from !== undefined);
    },
    close: () => store.close(),
  };
}
