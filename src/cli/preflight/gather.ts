/** Asks the service, and opens the store that the settings name. Nothing is written, and each part has a deadline. */
import { X509Certificate } from "node:crypto";
import { readFile, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { realTime } from "../../runtime/time.ts";
import type { Config } from "../../config/config.ts";
import { hexDigest } from "../../crypto/sha256.ts";
import { examinedServer, openTables } from "../../store/registry.ts";
import type { OperatorNotes } from "../../store/offline/operator-notes.ts";
import { credentialsFor } from "../access/service-credentials.ts";
import type { Place } from "../access/service-token.ts";
import { Failure, type OptionValues } from "../command.ts";
import type { VerifiedAudit } from "../commands/audit-verify.ts";
import type { Status } from "../commands/status.ts";
import type { Validation } from "../commands/validate.ts";
import { keyOf, presentProviderKeys, storeName, using } from "../open-store.ts";
import { askService, type Call, type Service } from "../service-client.ts";
import { attempt, type Tried } from "./attempt.ts";
import { type Evidence, foreign, type NamedFiles, type StoreEvidence } from "./evidence.ts";

export interface Asked {
  config: Config;
  place: Place;
  replicas: number | undefined;
}

const probeMs = 10_000;
const validateMs = 60_000;
/** The time that audit verify waits. */
const auditMs = 280_000;
const storeMs = 60_000;

/** Throws a Failure if the service cannot be asked for its status. */
export async function gather(options: OptionValues, { config, place, replicas }: Asked): Promise<Evidence> {
  const service: Service = { place, credentials: credentialsFor(options, place) };
  const status = (await ask(service, { method: "GET", path: "/api/admin/kms/status", timeoutMs: probeMs })) as Status;
  const validate = { method: "POST", path: "/api/admin/kms/validate", timeoutMs: validateMs } as const;
  const verify = { method: "POST", path: "/fluo.kms.v1.KeyAdminService/VerifyAudit", timeoutMs: auditMs } as const;
  return {
    ...{ now: realTime.now(), place, config, replicas, status },
    // One after the other: what Validate measures is not to wait for the rest.
    validation: await attempt(validateMs * 2, () => askInTurn<Validation>(service, validate)),
    ready: await probed(service, "/q/health/ready"),
    live: await probed(service, "/q/health/live"),
    audit: await attempt(auditMs * 2, () => askInTurn<VerifiedAudit>(service, verify)),
    files: await namedFiles(config),
    store: isOpened(config, status) ? await storeEvidence(config, status) : undefined,
  };
}

async function ask(service: Service, call: Call): Promise<Record<string, unknown>> {
  return (await askService(service, call)).json;
}

/** A caller may have a Validate, and a VerifyAudit, every ten seconds: see config/load.ts. */
const turnMs = 10_500;

async function askInTurn<T extends object>(service: Service, call: Call): Promise<T> {
  try {
    return (await ask(service, call)) as T;
  } catch (error) {
    const { code } = (error instanceof Failure ? error.json : {}) as { code?: unknown };
    if (!/^(rate_limited|resource_exhausted)$/i.test(String(code))) throw error;
  }
  await realTime.sleep(turnMs);
  return (await ask(service, call)) as T;
}

/** Asks as balancers do: without a token and a certificate. */
function probed({ place, credentials }: Service, path: string): Promise<Tried<unknown>> {
  const { ca } = credentials().tls;
  const nobody = () => ({ token: undefined, tls: { ca, certificate: undefined } });
  return attempt(probeMs, () => ask({ place, credentials: nobody }, { method: "GET", path, timeoutMs: probeMs }));
}

async function namedFiles({ policyFile, tls }: Config): Promise<NamedFiles> {
  const read = <T>(file: string, work: (content: Buffer) => T) =>
    attempt(probeMs, async () => work(await contentOf(file)));
  return {
    policy: policyFile === undefined ? undefined : await read(policyFile, hexDigest),
    certificate: tls === undefined ? undefined : await read(tls.certificate, lifeOf),
  };
}

async function contentOf(file: string): Promise<Buffer> {
  return readFile(file).catch((error) => {
    throw new Failure(`${file} cannot be read (${error.code})`);
  });
}

function lifeOf(pem: Buffer) {
  const { validFromDate: from, validToDate: until } = new X509Certificate(pem);
  return { from, until };
}

/** Settings of another service lead to another store, which is none of our business. */
function isOpened(config: Config, status: Status): boolean {
  return config.store.name !== "memory" && foreign({ config, status, store: undefined }) === undefined;
}

async function storeEvidence(config: Config, status: Status): Promise<StoreEvidence> {
  const { store } = config;
  return {
    notes: await attempt(storeMs, () => notesOf(config, status.audit?.writer_id ?? "")),
    server: store.name === "postgres" ? await attempt(storeMs, async () => (await examinedServer(store))!) : undefined,
    network: store.name === "sqlite" ? await networkOf(dirname(store.file)) : undefined,
  };
}

function notesOf(config: Config, writerId: string): Promise<OperatorNotes> {
  return using(presentProviderKeys(config), (providerKeys) =>
    using(openTables(config.store), async (tables) => {
      const { key } = await keyOf(tables, providerKeys, storeName(config.store));
      return tables.notes(key, writerId);
    }),
  );
}

/** Names by the numbers of statfs(2). */
const networks: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x00c36400, "Ceph"],
  [0x01021997, "9P"],
  [0x5346414f, "AFS"],
]);

/** Locks and syncs of such a file system are not those that SQLite counts on. */
export async function networkOf(folder: string, look: typeof statfs = statfs): Promise<string | undefined> {
  const found = await look(folder).catch(() => undefined);
  return found && networks.get(Number(found.type) >>> 0);
}
