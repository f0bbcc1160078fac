/**
 * The ways to a token: one that is given or lies in a file, AppRole, and Kubernetes. Files are read again at each login: Vault Agent
 * rewrites its sink, and kubelet the token of a service account.
 * https://developer.hashicorp.com/vault/api-docs/auth/approle, …/auth/kubernetes, …/auth/token
 */
import { readFile } from "node:fs/promises";
import { invalidField, KmsError } from "../../errors.ts";
import type { VaultLogin } from "./settings.ts";
import { authOf, dataOf, isCount, isToken, unreadable } from "./response.ts";
import { loginFailure, saysDeadToken } from "./errors.ts";
import type { VaultConnection } from "./http.ts";

export interface VaultLease {
  token: string;
  /** From the login or renewal on; Infinity for a token that does not expire, or that does not say. */
  ttlMs: number;
  renewable: boolean;
}

/** Whether a new login can give another token: a token that is given cannot be had again. */
export function canLogInAnew(login: VaultLogin): boolean {
  return login.method !== "token" || login.tokenFile !== undefined;
}

/** Whether the token is ours alone, made by our login, so that it can be revoked after use. */
export function ownsToken(login: VaultLogin): boolean {
  return login.method !== "token";
}

/** Throws INVALID_ARGUMENT for a file that is missing or empty, before anything is sent. */
export async function checkLogin(login: VaultLogin): Promise<void> {
  const file = fileOf(login);
  if (file === undefined) return;
  try {
    await secretIn(file);
  } catch (error) {
    throw error instanceof KmsError ? invalidField(file.setting, error.message) : error;
  }
}

/** Throws PROVIDER_DENIED for a login that Vault refuses. */
export async function logIn(connection: VaultConnection, login: VaultLogin, signal: AbortSignal): Promise<VaultLease> {
  const file = fileOf(login);
  const secret = file === undefined ? undefined : await secretIn(file);
  if (login.method === "token") return lookUp(connection, secret ?? login.token ?? "", signal);
  const fields =
    login.method === "approle"
      ? { role_id: login.roleId, secret_id: secret ?? login.secretId }
      : { role: login.role, jwt: secret };
  const answer = await connection.send(
    { method: "POST", path: `auth/${login.mount}/login`, body: Buffer.from(JSON.stringify(fields)) },
    signal,
  );
  if (answer.status !== 200) throw loginFailure(answer, loginAdvice[login.method](login.mount));
  return leaseIn(authOf(answer));
}

/** Throws PROVIDER_DENIED for a token that is dead, or is not to be renewed. */
export async function renew(
  connection: VaultConnection,
  { token }: VaultLease,
  signal: AbortSignal,
): Promise<VaultLease> {
  const answer = await connection.send(
    { method: "POST", path: "auth/token/renew-self", token, body: Buffer.from("{}") },
    signal,
  );
  if (answer.status !== 200) throw loginFailure(answer, tokenAdvice);
  const { leaseSeconds, renewable } = authOf(answer);
  return { token, renewable, ttlMs: leaseSeconds * 1000 }; // 0 is at its end, unlike a login's
}

/** Whether Vault still knows the token. A policy that forbids to ask is an answer too. */
export async function isAlive(connection: VaultConnection, { token }: VaultLease, signal: AbortSignal) {
  const answer = await connection.send({ method: "GET", path: "auth/token/lookup-self", token }, signal);
  if (answer.status === 200) return true;
  if (saysDeadToken(answer)) return false;
  const failure = loginFailure(answer, tokenAdvice);
  if (failure.code === "PROVIDER_DENIED") return true;
  throw failure;
}

const tokenAdvice =
  "Give a token that is valid in vault.token or vault.token-file: vault token lookup; vault token create.";

const loginAdvice = {
  approle: (mount: string) =>
    `See that role-id and secret-id are of one role and not used up: vault write -f auth/${mount}/role/ROLE/secret-id.`,
  kubernetes: (mount: string) =>
    `See that the role allows this service account and namespace: vault read auth/${mount}/role/ROLE.`,
};

async function lookUp(connection: VaultConnection, token: string, signal: AbortSignal): Promise<VaultLease> {
  if (!isToken(token))
    throw new KmsError("PROVIDER_DENIED", "the token for vault is malformed", { advice: tokenAdvice });
  const answer = await connection.send({ method: "GET", path: "auth/token/lookup-self", token }, signal);
  if (answer.status === 200) {
    const { ttl, renewable } = dataOf(answer);
    // A batch token has no `renewable` that counts, and is not renewable.
    if (!isCount(ttl)) throw unreadable("the token's ttl");
    return leaseIn({ token, leaseSeconds: ttl, renewable: renewable === true });
  }
  const failure = loginFailure(answer, tokenAdvice);
  if (failure.code !== "PROVIDER_DENIED" || saysDeadToken(answer)) throw failure;
  return { token, ttlMs: Number.POSITIVE_INFINITY, renewable: false }; // its policy forbids to ask
}

function leaseIn({ token, leaseSeconds, renewable }: { token: string; leaseSeconds: number; renewable: boolean }) {
  return { token, renewable, ttlMs: leaseSeconds === 0 ? Number.POSITIVE_INFINITY : leaseSeconds * 1000 };
}

interface SecretFile {
  setting: string;
  path: string;
}

function fileOf(login: VaultLogin): SecretFile | undefined {
  const [setting, path] =
    login.method === "approle"
      ? ["vault.approle.secret-id-file", login.secretIdFile]
      : [login.method === "token" ? "vault.token-file" : "vault.kubernetes.token-file", login.tokenFile];
  return path === undefined ? undefined : { setting: setting!, path };
}

/** PROVIDER_UNAVAILABLE, as whoever writes the file may be about to. */
async function secretIn({ setting, path }: SecretFile): Promise<string> {
  let text: string;
  try {
    text = (await readFile(path, "utf8")).trim();
  } catch (error) {
    throw unusable(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, setting);
  }
  if (!isToken(text)) throw unusable(`${path} must hold one line of printable characters`, setting);
  return text;
}

function unusable(message: string, setting: string): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", message, { advice: `Correct the file, or ${setting}.` });
}
