/** Calls of the service, as often as a caller may make them. */
import { realTime } from "../../runtime/time.ts";
import { Failure } from "../command.ts";
import { askService, type Call, type Service } from "../service-client.ts";

export async function ask(service: Service, call: Call): Promise<Record<string, unknown>> {
  return (await askService(service, call)).json;
}

/** A caller may have a Validate, and a VerifyAudit, every ten seconds: see config/load.ts. */
const turnMs = 10_500;

/** Asks once more after a refusal for having asked too soon. */
export async function askInTurn<T extends object>(service: Service, call: Call): Promise<T> {
  try {
    return (await ask(service, call)) as T;
  } catch (error) {
    const { code } = (error instanceof Failure ? error.json : {}) as { code?: unknown };
    if (!/^(rate_limited|resource_exhausted)$/i.test(String(code))) throw error;
  }
  await realTime.sleep(turnMs);
  return (await ask(service, call)) as T;
}
