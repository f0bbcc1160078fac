/** The service on a SQLite store, behind a proxy: killed and started again, it is found under the same address. */
import { join } from "node:path";
import { type ServiceProcess, startProcess } from "../../test/support/service-process.ts";
import { type CuttingProxy, type ProxyOptions, startCuttingProxy } from "./cutting-proxy.ts";
import { atEnd, newFolder } from "./programs.ts";

export interface KilledService {
  proxy: CuttingProxy;
  /** `127.0.0.1:port` of gRPC, through the proxy. */
  address: string;
  /** The one that runs now, and not through the proxy. */
  readonly process: ServiceProcess;
  /** Kills it by SIGKILL, and starts it again. */
  killAndRestart(): Promise<void>;
  end(): Promise<void>;
}

export async function startKilledService(options: ProxyOptions = {}): Promise<KilledService> {
  const folder = newFolder("service-");
  const env = {
    FLUO_KMS_ISSUER: "kms.example.com",
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(folder, "master.key"),
    FLUO_KMS_SQLITE_FILE: join(folder, "kms.db"),
  };
  const proxy = await startCuttingProxy(options);
  let running: ServiceProcess;
  async function start(): Promise<void> {
    running = await startProcess(env, { finished: atEnd });
    proxy.to(Number(running.grpc.split(":")[1]));
  }
  await start();
  return {
    proxy,
    address: `127.0.0.1:${proxy.port}`,
    get process() {
      return running;
    },
    async killAndRestart() {
      proxy.to(undefined);
      await running.end("SIGKILL");
      await start();
    },
    async end() {
      proxy.close();
      await running.end("SIGKILL");
    },
  };
}

/** The tenant's keys, as `jwks.json` has them. */
export async function jwksOf({ http }: Pick<ServiceProcess, "http">, tenant: string, token?: string): Promise<string> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return (await fetch(`${http}/api/kms/tenants/${tenant}/jwks.json`, { headers })).text();
}

/** How many entries the tenant's log has. */
export async function logSize({ client }: Pick<ServiceProcess, "client">, tenantId: string): Promise<number> {
  return Number((await client.logs.getCheckpoint({ tenantId })).head!.size);
}
