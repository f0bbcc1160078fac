/** Files that a policy names: authorities and revocation lists of client certificates, and what the keys of issuers come from. */
import type { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { dueAt } from "../runtime/due-at.ts";
import {
  newestOf,
  type RevocationList,
  readAuthorities,
  readCertificates,
  readRevocationLists,
} from "./certificate/authorities.ts";
import { subjectOf } from "./certificate/certificate.ts";
import { type Authorities, isInTime, sharedRoots } from "./certificate/lineage.ts";
import type { Policy } from "./policy/policy.ts";
import type { PolicyProblem } from "./policy/text.ts";
import type { CertificatesEntry, IssuerEntry } from "./policy/trust.ts";
import { keyUseOf, signingKeys } from "./token/jwks.ts";
import { keySetIn, maxKeySetBytes } from "./token/key-file.ts";

export interface TrustFiles {
  readonly authorities: readonly Authorities[];
  /** PEM texts, for TLS. */
  readonly ca: readonly string[];
  readonly crl: readonly string[];
  /** End of the first authority of client certificates to end, in milliseconds since 1970; undefined without any. */
  readonly authorityUntilMs: number | undefined;
  /** When the first revocation list is due; undefined without any. */
  readonly crlUntilMs: number | undefined;
  /** When the first of their successors should be there. */
  readonly crlDueMs: number | undefined;
}

export interface NamedFile {
  /** Line of the entry. */
  readonly line: number;
  readonly path: string;
}

const maxPemBytes = 16 * 1024 * 1024;

/** All files that the policy names but token files, which are read when they are sent. */
export function namedFiles({ certificates, issuers }: Policy): NamedFile[] {
  const named = (line: number, paths: readonly (string | undefined)[]) =>
    paths.filter((path) => path !== undefined).map((path) => ({ line, path }));
  return [
    ...certificates.flatMap(({ line, ca, crl }) => named(line, [ca, crl])),
    ...issuers.flatMap(({ line, ca, keys }) => named(line, [keys.from === "file" ? keys.at : undefined, ca])),
  ];
}

export interface ReadTrust extends TrustFiles {
  readonly problems: PolicyProblem[];
  readonly warnings: PolicyProblem[];
}

/** Authorities with their revocation lists, and what is wrong with any. Lists must be current. */
export function readTrustFiles({ certificates }: Policy, nowMs: number): ReadTrust {
  const read = certificates.map((entry) => readEntry(entry, nowMs));
  const problems = read.flatMap((each) => each.problems);
  const authorities = read.flatMap((each) => each.authorities);
  const lists = read.flatMap((each) => each.lists);
  const shared = sharedRoots(authorities);
  if (shared !== undefined) problems.push(shared);
  return {
    warnings: authorities.flatMap((each) => refusingAll(each, nowMs)),
    problems,
    authorities,
    ca: read.flatMap(({ ca }) => ca),
    crl: lists.map(({ pem }) => pem),
    authorityUntilMs: earliest(authorities.flatMap(({ roots }) => roots.map(endMs))),
    crlUntilMs: earliest(lists.map(({ nextUpdateMs }) => nextUpdateMs)),
    crlDueMs: earliest(lists.map(dueMs)),
  };
}

/** Time before the end of a revocation list at which the next should be there. */
const renewedBeforeMs = 86_400_000;

function dueMs({ thisUpdateMs, nextUpdateMs }: RevocationList): number {
  return dueAt({ fromMs: thisUpdateMs, untilMs: nextUpdateMs }, renewedBeforeMs);
}

/** Returns 0 for a time that cannot be read, as isInTime takes that for one that has passed. */
function endMs({ validToDate }: X509Certificate): number {
  const ms = validToDate.getTime();
  return Number.isNaN(ms) ? 0 : ms;
}

function earliest(times: readonly number[]): number | undefined {
  return times.length > 0 ? Math.min(...times) : undefined;
}

/** CAs below which TLS refuses every certificate: with lists, it wants a current one of each CA. */
function refusingAll({ entry, roots, lists }: Authorities, nowMs: number): PolicyProblem[] {
  const warning = (text: string) => ({ line: entry.line, text: `certificates ${entry.name}: ${text}` });
  const current = roots.filter((ca) => isInTime(ca, nowMs));
  if (current.length === 0) return [warning("every CA certificate is out of its time, so no client is accepted")];
  if (entry.crl === undefined) return [];
  return current
    .filter((ca) => !lists.some(({ issuer }) => issuer === subjectOf(ca.raw)))
    .map((ca) =>
      warning(`no revocation list is of CA certificate ${roots.indexOf(ca) + 1}, so no client of it is accepted`),
    );
}

function readEntry(entry: CertificatesEntry, nowMs: number) {
  const problems: PolicyProblem[] = [];
  const file = fileOf({ line: entry.line, what: `certificates ${entry.name}`, problems });
  const ca = file("ca", entry.ca, maxPemBytes);
  const roots = ca?.read(readAuthorities);
  const lists = file("crl", entry.crl, maxPemBytes)?.read((pem) => readRevocationLists(pem, { roots, nowMs })) ?? [];
  return {
    problems,
    authorities: roots === undefined ? [] : [{ entry, roots, lists: newestOf(lists) }],
    lists,
    ca: roots === undefined ? [] : [ca!.text],
  };
}

/**
 * What is wrong with files that keys of issuers come from. A start and `policy check` ask: later each is looked at by itself, when it changes
 * or keys are fetched, and the former keys stay.
 */
export function issuerFileProblems({ issuers }: Policy): PolicyProblem[] {
  return issuers.flatMap((entry) => {
    const problems: PolicyProblem[] = [];
    const file = fileOf({ line: entry.line, what: `issuer ${entry.name}`, problems });
    file("ca", entry.ca, maxPemBytes)?.read(readCertificates);
    if (entry.keys.from === "file") {
      const key = entry.trustDomain === undefined ? "jwks-file" : "bundle-file";
      file(key, entry.keys.at, maxKeySetBytes)?.read((text) => keysIn(text, entry));
    }
    return problems;
  });
}

function keysIn(text: string, entry: IssuerEntry) {
  try {
    return signingKeys(keySetIn(text), keyUseOf(entry));
  } catch (error) {
    return (error as Error).message;
  }
}

interface EntryProblems {
  line: number;
  /** The entry. */
  what: string;
  problems: PolicyProblem[];
}

/** Reads files of an entry: their text, and what is in it unless the reader tells in a text what is wrong. */
function fileOf({ line, what, problems }: EntryProblems) {
  return (key: string, path: string | undefined, maxBytes: number) => {
    if (path === undefined) return undefined;
    const problem = (text: string) => void problems.push({ line, text: `${what}: ${key} ${path}${text}` });
    const text = readText(path, maxBytes, (wrong) => problem(` ${wrong}`));
    if (text === undefined) return undefined;
    return {
      text,
      read<T>(reader: (text: string) => T | string): T | undefined {
        const found = reader(text);
        if (typeof found !== "string") return found;
        problem(`: ${found}`);
        return undefined;
      },
    };
  };
}

/** Undefined where it cannot be read, which is told. */
export function readText(path: string, maxBytes: number, problem: (text: string) => void): string | undefined {
  const tooLong = `is longer than ${maxBytes} bytes`;
  try {
    const status = statSync(path);
    const wrong = status.isFile() ? (status.size > maxBytes ? tooLong : undefined) : "is no file";
    const bytes = wrong === undefined ? readFileSync(path) : undefined;
    if (bytes !== undefined && bytes.length <= maxBytes) {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    }
    problem(wrong ?? tooLong);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    problem(code === "ERR_ENCODING_INVALID_ENCODED_DATA" ? "is not UTF-8" : `cannot be read (${code})`);
  }
  return undefined;
}
