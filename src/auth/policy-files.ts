/** A policy with the files that it names, as they are read: whole or not at all. Key sets of issuers are read by themselves. */
import { accessSync, constants, lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { hexDigest } from "../crypto/sha256.ts";
import { haveChanged, type Stamps, stampsOf } from "../runtime/watch-files.ts";
import { expiredTokens, type Policy, type ReadPolicy, readPolicy } from "./policy/policy.ts";
import { maxPolicyBytes, type PolicyProblem } from "./policy/text.ts";
import type { IssuerEntry } from "./policy/trust.ts";
import { issuerFileProblems, namedFiles, readText, readTrustFiles, type TrustFiles } from "./trust-files.ts";

/** What a policy and its files hold. Paths in the policy are absolute. */
export interface PolicyFiles extends TrustFiles {
  readonly policy: Policy;
  /** SHA-256 of the policy's text, in lower-case hex. */
  readonly sha256: string;
  /** What is to be looked at, a sentence each. */
  readonly warnings: readonly string[];
}

export interface PolicyFilesOptions {
  /** The clock on the wall, in milliseconds. */
  nowMs: number;
  /** Whether what is only a warning on a developer's machine is a problem. */
  strict: boolean;
  /** Who speaks TLS: certificates of clients reach none but the service itself. */
  tls: "own" | "proxy" | "nobody";
}

export interface ReadFiles extends ReadPolicy {
  /** Undefined where there are problems. */
  files: PolicyFiles | undefined;
  /** Stamps of the policy's file and of those that it names, taken before any of them was read. */
  stamps: Stamps;
}

/** Settings on which it depends what is right in a policy. */
export interface PolicySettings {
  readonly profile: string;
  readonly tls: object | undefined;
  readonly tlsTerminated: boolean;
}

export function policyOptions({ profile, tls, tlsTerminated }: PolicySettings, nowMs: number): PolicyFilesOptions {
  return { nowMs, strict: profile === "prod", tls: tls ? "own" : tlsTerminated ? "proxy" : "nobody" };
}

const noFiles = { policy: undefined, files: undefined };

/** The files, or what is wrong with them. */
export function readPolicyFiles(file: string, options: PolicyFilesOptions): ReadFiles {
  const unread: PolicyProblem[] = [];
  const ofPolicy = stampsOf([file]);
  const text = readText(file, maxPolicyBytes, (what) => unread.push({ line: 1, text: what }));
  if (text === undefined) return { ...noFiles, stamps: ofPolicy, problems: unread, warnings: [] };
  const { policy: written, ...read } = readPolicy(text);
  if (written === undefined) return { ...noFiles, stamps: ofPolicy, ...read };
  const policy = inFolder(written, file);
  const named = namedFiles(policy);
  const stamps = new Map([...ofPolicy, ...stampsOf(named.map(({ path }) => path))]);
  const {
    problems: ofFiles,
    warnings: ofTrust,
    ...trust
  } = readTogether(policy, options, () => !haveChanged(ofPolicy));
  const writable = [{ line: 1, path: file }, ...named].flatMap(openToOthers);
  const refused = options.strict ? [...policy.issuers.flatMap(inTheClear), ...writable] : [];
  const { problems: withoutTls, warnings: idle } = certificatesBy(policy, options.tls);
  const problems = inOrder([...ofFiles, ...refused, ...withoutTls]);
  const doubts = [...read.warnings, ...ofTrust, ...expiredTokens(policy, options.nowMs), ...idle];
  const warnings = inOrder(options.strict ? doubts : [...doubts, ...writable]);
  const files = { policy, ...trust, sha256: hexDigest(text), warnings: warnings.map(lineText) };
  return { policy, files: problems.length === 0 ? files : undefined, stamps, problems, warnings };
}

/** A policy of one version with authorities of another would trust whom neither does. Key sets are of no version: they are read later. */
function readTogether(policy: Policy, options: PolicyFilesOptions, isPolicySame: () => boolean) {
  const paths = namedFiles({ ...policy, issuers: [] }).map(({ path }) => path);
  const stamps = stampsOf(paths);
  const read = readTrustFiles(policy, options.nowMs);
  if (isPolicySame() && !haveChanged(stamps)) return read;
  return { ...read, problems: [{ line: 1, text: "it, or a file that it names, was replaced while it was read" }] };
}

/** Reads files for a start, which needs those that keys of issuers come from, too. */
export function readFilesForStart(file: string, options: PolicyFilesOptions): ReadFiles {
  const read = readPolicyFiles(file, options);
  if (read.policy === undefined) return read;
  const problems = inOrder([...read.problems, ...issuerFileProblems(read.policy)]);
  return { ...read, problems, files: problems.length === 0 ? read.files : undefined };
}

export function lineText({ line, text }: PolicyProblem): string {
  return `line ${line}: ${text}`;
}

export function inOrder(some: readonly PolicyProblem[]): PolicyProblem[] {
  return [...some].sort((a, b) => a.line - b.line);
}

/** The policy with absolute paths: those in it begin at the folder of its file, wherever it is read. */
export function inFolder(policy: Policy, file: string): Policy {
  const absolute = (path: string) => resolve(dirname(file), path);
  const ifGiven = (path: string | undefined) => (path === undefined ? undefined : absolute(path));
  return {
    ...policy,
    certificates: policy.certificates.map((entry) => ({ ...entry, ca: absolute(entry.ca), crl: ifGiven(entry.crl) })),
    issuers: policy.issuers.map((entry) => ({
      ...entry,
      ca: ifGiven(entry.ca),
      tokenFile: ifGiven(entry.tokenFile),
      keys: entry.keys.from === "file" ? { from: "file", at: absolute(entry.keys.at) } : entry.keys,
    })),
  };
}

/** Addresses without TLS, of which the policy's own reader warns on a developer's machine. */
function inTheClear({ name, line, issuer, keys }: IssuerEntry): PolicyProblem[] {
  const addresses = [issuer, keys.from === "address" ? keys.at : undefined];
  return addresses
    .filter((address) => address?.startsWith("http:"))
    .map((address) => ({
      line,
      text: `issuer ${name}: ${address} is not https: whoever is on the way can give tokens; use https`,
    }));
}

function openToOthers({ line, path }: { line: number; path: string }): PolicyProblem[] {
  const open = writableByOthers(path);
  if (open === undefined) return [];
  const why = open === path ? "" : `, in which ${path} can be replaced`;
  return [{ line, text: `${open} can be written by everybody${why}: chmod o-w, or mount it read-only` }];
}

/** Bits of a file's mode. Access control lists are not looked at. */
const others = 0o002;
const sticky = 0o1000;

/**
 * Returns the file, or a folder on the way to it, that others can write: whoever can change a policy or put another in its place may do
 * what every caller may. Undefined if there is none, and for a file that is not there.
 */
function writableByOthers(path: string): string | undefined {
  if (process.platform === "win32") return undefined; // its modes say nothing
  try {
    const isOpen = ({ mode }: { mode: number }) => (mode & others) !== 0;
    if (isOpen(statSync(path)) && !isReadOnly(path)) return path;
    // A file in a folder such as /tmp is safe from all but its owner.
    return foldersOf(path).find((folder) => {
      const status = statSync(folder);
      return isOpen(status) && (status.mode & sticky) === 0 && !isReadOnly(folder);
    });
  } catch {
    return undefined; // What cannot be read is told elsewhere.
  }
}

/** The folder that a file is named in, and those of the links on the way to it. */
function foldersOf(path: string): string[] {
  const folder = dirname(path);
  if (!lstatSync(path).isSymbolicLink()) return [folder];
  return [folder, ...foldersOf(resolve(realpathSync(folder), readlinkSync(path)))];
}

/** Tells whether a mount is read-only, where rights mean nothing: Kubernetes gives its volumes those of everybody. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EROFS";
  }
}

function certificatesBy({ certificates: [first] }: Policy, tls: PolicyFilesOptions["tls"]) {
  const found = { problems: [] as PolicyProblem[], warnings: [] as PolicyProblem[] };
  if (first === undefined || tls === "own") return found;
  const { line } = first;
  const why = "no certificate of a client reaches the service";
  if (tls === "proxy")
    found.problems.push({ line, text: `certificates: fluo.kms.tls.terminated is true, so ${why}: take them out` });
  else found.warnings.push({ line, text: `certificates: without fluo.kms.tls.certificate ${why}` });
  return found;
}
