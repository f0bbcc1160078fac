/** Questions of `policy explain` and `policy test`: an rpc or a role, and the tenant that it is for. */
import { type Role, roleOf } from "../../call/roles.ts";
import { nearestName } from "../../encoding/nearest.ts";
import { UsageError } from "../command.ts";

export interface Question {
  /** Name as the proto spells it. */
  rpc: string | undefined;
  role: Role | undefined;
  tenant: string | undefined;
  /** Whether the rpc needs its role for all tenants, whichever tenant its request names. */
  isForAll: boolean;
}

export const tenantForm = "must match ^[a-z0-9][a-z0-9._-]{0,62}$: lower-case ASCII, at most 63 characters";

/** Rpcs that need their role for all tenants always; others do where their request names no tenant. */
export const forAllTenants: ReadonlySet<string> = new Set(["acceptRollback", "validate", "rewrapKeys", "verifyAudit"]);

/** Throws UsageError for an rpc that there is not. */
export function questionOf(rpc: string, tenant: string | undefined): Question & { role: Role } {
  const name = rpcNamed(rpc);
  return { rpc: spelled(name), role: roleOf[name], tenant, isForAll: forAllTenants.has(name) };
}

/** `acme`, or `all tenants`. */
export function placeText({ tenant, isForAll }: Question): string {
  return isForAll || tenant === undefined ? "all tenants" : tenant;
}

type RpcName = keyof typeof roleOf;
const rpcNames = Object.keys(roleOf) as RpcName[];
const spelled = (name: string) => `${name[0]!.toUpperCase()}${name.slice(1)}`;

/** EncryptPii, encryptPii, and in any other case. */
function rpcNamed(given: string): RpcName {
  const lower = given.toLowerCase();
  const found = rpcNames.find((name) => name.toLowerCase() === lower);
  if (found !== undefined) return found;
  const near = nearestName(
    lower,
    rpcNames.map((name) => name.toLowerCase()),
  );
  const meant = rpcNames.find((name) => name.toLowerCase() === near);
  const all = `there are ${rpcNames.map(spelled).join(", ")}`;
  throw new UsageError(`no rpc is called ${given}; ${meant ? `did you mean ${spelled(meant)}?` : all}`);
}
