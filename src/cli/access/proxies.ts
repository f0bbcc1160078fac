/** Proxies on the way to a service. */
import { type Agent, type AgentOptions, globalAgent } from "node:http";
import { isLoopback } from "../../runtime/loopback.ts";

/** Those that Node's own clients heed (NODE_USE_ENV_PROXY). This machine is asked directly: a proxy would take it for itself. */
export function proxiesFor(host: string): AgentOptions["proxyEnv"] {
  const { proxyEnv } = (globalAgent as Agent & { options: AgentOptions }).options;
  return isLoopback(host) ? undefined : proxyEnv;
}
