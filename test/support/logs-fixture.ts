/**
 * The API's reading half over logs that a test fills through the store: real handlers, keys and store on real transports. The service is not
 * started: `running-service.ts` and `service-process.ts` alone do that.
 */
import { logReader } from "../../src/tenant-log/reader.ts";
import { logHandlers } from "../../src/service/log/handlers.ts";
import { publicKeyHandlers } from "../../src/service/kms/public-key-set.ts";
import { setUp as setUpKeys } from "./keys-fixture.ts";
import type { LogStore } from "../../src/store/log-store.ts";
import { type FakeKms, startTransports } from "./transports-fixture.ts";

/** `alter` replaces what is read of the store. */
export async function startLogs(alter: (store: LogStore) => Partial<LogStore> = () => ({})) {
  const { store, keyring } = setUpKeys();
  const logs = logReader({ store: { ...store, ...alter(store) }, keys: keyring });
  const handlers: FakeKms = publicKeyHandlers({ keyring, issuer: "kms.example.com" });
  const transports = await startTransports(handlers, { logs: logHandlers({ logs }) });
  return { ...transports, store, keyring };
}
