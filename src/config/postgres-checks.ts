/** What the settings of a PostgreSQL server mean together. pg takes the last of the same names in a URL's query, and a host there before any other. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isLoopback } from "../runtime/loopback.ts";
import type { SettledConfig } from "./config.ts";
import type { Problem } from "./problem.ts";

const [url, passwordFile, ca] = [
  "fluo.kms.postgres.url",
  "fluo.kms.postgres.password-file",
  "fluo.kms.postgres.ca",
] as const;

/** Combinations that are refused. None shows the URL, which may hold a password. */
export function postgresProblems({ store, profile }: Pick<SettledConfig, "store" | "profile">): Problem[] {
  if (store.name !== "postgres" || !URL.canParse(store.url)) return [];
  const server = new URL(store.url);
  const way = wayTo(store.url);
  const problems: Problem[] = [];
  if (store.passwordFile !== undefined) {
    const hasPassword = server.password !== "" || server.searchParams.has("password");
    if (hasPassword) problems.push({ name: passwordFile, description: `is set, and ${url} has a password; set one` });
    problems.push(...unreadable(passwordFile, store.passwordFile));
  }
  if (store.ca !== undefined) {
    if (way !== "verified") {
      const description = `is set, and ${url} has no sslmode=verify-full, without which it may mean nothing; add it`;
      problems.push({ name: ca, description });
    }
    if (server.searchParams.has("sslrootcert")) {
      problems.push({ name: ca, description: `is set, and ${url} has sslrootcert; set one of the two` });
    }
    problems.push(...notPem(store.ca));
  }
  if (profile === "prod" && way === "open") {
    const found = "leads beyond this machine without sslmode=verify-full, and wrapped keys and names of tenants";
    problems.push({ name: url, description: `${found} would go to whoever answers; add ?sslmode=verify-full` });
  }
  return problems;
}

/** How the server of a URL is reached: by a certificate that is verified for its host, on this machine, or by neither. */
export function wayTo(text: string): "verified" | "here" | "open" {
  const { searchParams, hostname } = new URL(text);
  const last = (name: string) => searchParams.getAll(name).at(-1);
  if (last("sslmode") === "verify-full") return "verified";
  return isHere(last("host") ?? decodeURIComponent(hostname)) ? "here" : "open";
}

/** Whether a host is this machine: a socket of a file, or a loopback address. Without one, a variable of PostgreSQL's own may name any. */
function isHere(host: string): boolean {
  return host.startsWith("/") || (host !== "" && isLoopback(host));
}

function unreadable(name: string, file: string): Problem[] {
  try {
    readFileSync(file);
    return [];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return [{ name, description: `${file} cannot be read (${code}); give the path of a readable file` }];
  }
}

function notPem(file: string): Problem[] {
  const problems = unreadable(ca, file);
  if (problems.length > 0) return problems;
  try {
    new X509Certificate(readFileSync(file));
    return [];
  } catch {
    return [{ name: ca, description: `${file} must hold certificates of authorities, in PEM` }];
  }
}
