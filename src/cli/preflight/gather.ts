/** Asks the service, and opens the store that the settings name. Nothing is written, and each part has a deadline. */
import { X509Certificate } from "node:crypto";
import { readFile, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { realTime } from "../../runtime/time.ts";
import type { Config } from "../../config/config.ts";
import { hexDigest } from "../../crypto/sha256.ts";
import { examinedServer, openTables } from "../../store/registry.ts";
import { credentialsFor } from "../access/credentials.ts";
import type { Place } from "../access/token.ts";
import { Failure, type OptionValues } from "../command.ts";
import type { VerifiedAudit } from "../commands/audit-verify.ts";
import type { Status } from "../commands/status.ts";
import type { Validation } from "../commands/validate.ts";
import { keyOf, presentProviderKeys, storeName, using } from "../open-store.ts";
import type { Service } from "../service-client.ts";
import { ask, askInTurn } from "./ask.ts";
import { attempt, type Tried } from "./attempt.ts";
import { type Evidence, type NamedFiles, otherSettings, otherStore, type StoreEvidence } from "./evidence.ts";
import { identityOf } from "./store-identity.ts";

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
    now: realTime.now(),
    place,
    config,
    replicas,
    status,
    // One after the other: what Validate measures is not to wait for the rest.
    validation: await attempt(validateMs * 2, () => askInTurn<Validation>(service, validate)),
    ready: await probed(service, "/q/health/ready"),
    live: await probed(service, "/q/health/live"),
    audit:
      place.socket === undefined
        ? await attempt(auditMs * 2, () => askInTurn<VerifiedAudit>(service, verify))
        : { unasked: "the local socket serves no audit verify" },
    files: await namedFiles(config),
    store: isOpened(config, status) ? await storeEvidence(service, config, status) : undefined,
  };
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
  return config.store.name !== "memory" && otherSettings({ config, status }) === undefined;
}

async function storeEvidence(service: Service, config: Config, status: Status): Promise<StoreEvidence> {
  const { store } = config;
  const identity = await attempt(storeMs, () => identityOf(service, store, status));
  return {
    identity,
    notes: await notesOf(config, status, identity),
    server: store.name === "postgres" ? await attempt(storeMs, async () => (await examinedServer(store))!) : undefined,
    network: store.name === "sqlite" ? await networkOf(dirname(store.file)) : undefined,
  };
}

/** A store that could not be opened is not tried again, and another one's notes are none of our business. */
async function notesOf(
  config: Config,
  status: Status,
  identity: StoreEvidence["identity"],
): Promise<StoreEvidence["notes"]> {
  if ("why" in identity) return identity;
  if (otherStore({ status, identity }) !== undefined) return undefined;
  return attempt(storeMs, () =>
    using(presentProviderKeys(config), (providerKeys) =>
      using(openTables(config.store), async (tables) => {
        const { key } = await keyOf(tables, providerKeys, storeName(config.store));
        return tables.notes(key);
      }),
    ),
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
