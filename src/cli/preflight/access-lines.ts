/** Lines on who may call, and whether anybody can read along. */
import { isLoopback } from "../../runtime/loopback.ts";
import { lengthText } from "./age.ts";
import { type Evidence, foreign, otherSettings } from "./evidence.ts";
import { fail, type Line, pass, skipped, unsent, warn } from "./line.ts";

export function accessLines(evidence: Evidence): Line[] {
  const why = foreign(evidence);
  const ofSettings = (name: string, line: Line) =>
    why === undefined ? line : skipped(name, "not tried: these settings are not the service's");
  return [
    settingsLine(evidence),
    ofSettings("profile", profileLine(evidence)),
    authenticationLine(evidence),
    policyLine(evidence, why),
    tlsLine(evidence),
    certificateLine(evidence),
  ];
}

function settingsLine(evidence: Evidence): Line {
  const why = otherSettings(evidence);
  const { provider, store } = evidence.config;
  if (why === undefined)
    return pass("settings", `provider ${provider.name} and store ${store.name}, as the service has`);
  return fail("settings", why, "run it where the service runs, with its --config and environment");
}

function profileLine({ config: { profile } }: Evidence): Line {
  if (profile === "prod") return pass("profile", profile);
  return fail("profile", profile, "set fluo.kms.profile=prod, which refuses what is for development");
}

function authenticationLine({ status: { authentication } }: Evidence): Line {
  if (authentication === undefined) return unsent("authentication");
  if (authentication.kind === "policy") return pass("authentication", "by policy");
  const found = `${authentication.kind}: whoever can connect has every role`;
  return fail("authentication", found, "set fluo.kms.auth=policy, with a file that fluo-kms policy new writes");
}

function policyLine({ status: { authentication }, files }: Evidence, why: string | undefined): Line {
  const policy = authentication?.policy;
  if (policy === undefined) return skipped("policy", "there is none");
  if (policy.problems.length > 0) {
    return fail(
      "policy",
      `the file is not in force: ${policy.problems.join("; ")}`,
      "fluo-kms policy check names each",
    );
  }
  const found = `${policy.rules === 1 ? "1 rule" : `${policy.rules} rules`}, SHA-256 ${policy.sha256.slice(0, 16)}`;
  if (files.policy === undefined || why !== undefined) return pass("policy", found);
  if ("why" in files.policy) return pass("policy", `${found}; its file cannot be read here (${files.policy.why})`);
  if (files.policy.got === policy.sha256) return pass("policy", `${found}, as in its file`);
  const other = `${found}, and its file has SHA-256 ${files.policy.got.slice(0, 16)}`;
  return fail("policy", other, "see the service's log for why the file is not in force");
}

function tlsLine({ place, config, status: { authentication } }: Evidence): Line {
  const isServed = typeof authentication?.certificate_expires_at === "string";
  if (place.isTls) return pass("tls", isServed ? "on both ports" : "before the service, by a proxy");
  if (!isLoopback(place.host)) {
    const advice = isServed
      ? "let the proxy before the service speak TLS too"
      : "set fluo.kms.tls.certificate and fluo.kms.tls.key";
    return fail("tls", `${place.text} is in the clear`, advice);
  }
  if (isServed) return warn("tls", "on both ports, and a proxy before it speaks without", "ask the service by https");
  if (config.tlsTerminated) return pass("tls", "before the service, by a proxy in the same pod");
  if (config.tls !== undefined) return fail("tls", "the settings have it, and the service does not", "start it again");
  if (isLoopback(config.host)) return skipped("tls", `the service listens on ${config.host} alone`);
  return fail("tls", `none, and the service listens on ${config.host}`, "set fluo.kms.tls.certificate and .key");
}

/** Renewal is due at a third of a certificate's life, and late at a fifth: docs/runbooks/kms-certificate-expires.md. */
const leastLeft = 1 / 5;
const unknownLifeMs = 90 * 86_400_000;

function certificateLine({ status: { authentication }, files: { certificate }, now }: Evidence): Line {
  const told = authentication?.certificate_expires_at;
  if (typeof told !== "string") return skipped("certificate", "the service has none of its own");
  const until = new Date(told);
  const isServed =
    certificate !== undefined && "got" in certificate && certificate.got.until.getTime() === until.getTime();
  const lifeMs = isServed ? until.getTime() - certificate.got.from.getTime() : unknownLifeMs;
  const leftMs = until.getTime() - now.getTime();
  if (leftMs <= 0) return fail("certificate", `ended at ${told}`, "renew it: clients refuse it");
  const found = `ends in ${lengthText(leftMs)}, at ${told}`;
  if (leftMs >= lifeMs * leastLeft) return pass("certificate", found);
  return fail("certificate", `${found}, less than a fifth of its life`, "renew it: the service reads the file anew");
}
