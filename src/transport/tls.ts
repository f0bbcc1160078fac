/**
 * TLS of both ports: one context for both, at every reload made by one function. The service's certificate and key are read anew when their
 * files change; authorities of clients' certificates come from the policy. What does not load leaves the former context in force: a server
 * that is handed such a one closes every new connection.
 */
import { constants, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import type { Logger } from "pino";
import { type Notice, notice } from "../notices.ts";
import { dueAt } from "../runtime/due-at.ts";
import type { Time } from "../runtime/time.ts";
import { stampsOf, watchFiles } from "../runtime/watch-files.ts";

/** PEM files. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

/** PEM texts, of whom clients' certificates may be. */
export interface ClientAuthorities {
  readonly ca: readonly string[];
  readonly crl: readonly string[];
}

export interface Tls {
  /** The context in force. */
  options(): SecureContextOptions;
  /** Has `use` called with each later one. */
  subscribe(use: (options: SecureContextOptions) => void): void;
  /** Puts other authorities into force. Throws, and changes nothing, if they do not load. */
  trust(authorities: ClientAuthorities): void;
  /** Reads certificate and key anew. */
  reload(): Promise<void>;
  /** Time from which the service's own certificate is valid. */
  validFrom(): Date;
  /** When the service's own certificate ends. */
  expiresAt(): Date;
  /** True from a reload that failed until one succeeds: the certificate in the files is not in force then. */
  reloadFailed(): boolean;
  /** What an operator should know, a sentence each. */
  remarks(now: Date): Notice[];
  close(): void;
}

export interface TlsParts {
  files: TlsFiles;
  /** Undefined where no client is believed by a certificate. */
  authorities: ClientAuthorities | undefined;
  log: Logger;
  time: Time;
  /** Called when what is remarked is another than before. */
  changed?(): void;
}

const tries = 5;
const tryAgainMs = 200;

interface Pair {
  cert: Buffer;
  key: Buffer;
}

/** Throws if the files do not load. */
export function startTls(parts: TlsParts): Tls {
  const { files, authorities = { ca: [], crl: [] }, log, time, changed = () => {} } = parts;
  const paths = [files.certificate, files.key];
  let stamps = stampsOf(paths);
  let pair = readPair(files);
  let trusted = authorities;
  let options = contextOptions(pair, trusted);
  let problem: string | undefined;
  const subscribers: ((options: SecureContextOptions) => void)[] = [];

  function putInForce(nextPair: Pair, nextTrusted: ClientAuthorities): void {
    const next = contextOptions(nextPair, nextTrusted);
    [pair, trusted, options] = [nextPair, nextTrusted, next];
    for (const use of subscribers) use(next);
  }

  /** Certificate and key are two files: for a moment they may be of two pairs. */
  async function reload(isRetry = false): Promise<void> {
    for (let left = tries; ; left -= 1) {
      stamps = stampsOf(paths);
      try {
        const next = readPair(files);
        if (!next.cert.equals(pair.cert) || !next.key.equals(pair.key)) {
          putInForce(next, trusted);
          log.info({ expires: expiryOf(next) }, "another certificate of the service is in force");
        }
        problem = undefined;
        return changed();
      } catch (error) {
        if (left > 1) await time.sleep(tryAgainMs, { ref: false });
        else {
          const found = `The certificate in ${files.certificate} or its key is not in force, and the former one is: ${(error as Error).message}.`;
          if (!isRetry || found !== problem) log.error(found);
          problem = found;
          return changed();
        }
      }
    }
  }

  const watched = watchFiles({
    stamps: () => stamps,
    changed: () => reload(),
    retry: () => (problem === undefined ? undefined : reload(true)),
    time,
  });
  return {
    options: () => options,
    subscribe: (use) => void subscribers.push(use),
    trust: (next) => putInForce(pair, next),
    reload: watched.read,
    validFrom: () => new X509Certificate(pair.cert).validFromDate,
    expiresAt: () => expiryOf(pair),
    reloadFailed: () => problem !== undefined,
    remarks: (now) => [
      ...(problem === undefined ? [] : [notice("CERTIFICATE_REFUSED", problem, files.certificate)]),
      ...expiryRemark(pair, now),
    ],
    close: () => watched.close(),
  };
}

function readPair({ certificate, key }: TlsFiles): Pair {
  const pair = { cert: readFileSync(certificate), key: readFileSync(key) };
  createSecureContext(pair); // throws for a key of another certificate
  return pair;
}

/**
 * All that a context is told: `setSecureContext` forgets what it is not, and would serve TLS 1.2 from then on. Without authorities none is
 * believed, where `undefined` would be every public one. Without tickets, as a client that resumes comes without its certificate.
 */
function contextOptions({ cert, key }: Pair, { ca, crl }: ClientAuthorities): SecureContextOptions {
  const options: SecureContextOptions = {
    cert,
    key,
    ca: [...ca],
    ...(crl.length > 0 && { crl: [...crl] }),
    minVersion: "TLSv1.3",
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  createSecureContext(options); // finds what would close every connection
  return options;
}

function expiryOf({ cert }: Pair): Date {
  return new X509Certificate(cert).validToDate;
}

const remarkBeforeMs = 7 * 86_400_000;

function expiryRemark({ cert }: Pair, now: Date): Notice[] {
  const { validFromDate: from, validToDate: until } = new X509Certificate(cert);
  if (now.getTime() < dueAt({ fromMs: from.getTime(), untilMs: until.getTime() }, remarkBeforeMs)) return [];
  const text =
    now < until
      ? `The service's certificate ends at ${until.toISOString()}: renew it.`
      : `The service's certificate has ended at ${until.toISOString()}, and clients refuse it: renew it.`;
  return [notice("CERTIFICATE_ENDS", text)];
}
