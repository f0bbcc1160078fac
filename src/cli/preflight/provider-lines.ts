/** Lines on the provider, its key, and what Validate says. */
import { fail, type Line, pass, skipped } from "./line.ts";
import type { Evidence } from "./evidence.ts";

/** A cached key takes some microseconds; 10 ms is what Validate warns of. */
const mostHitMs = 5;

export function providerLines({ status, validation }: Evidence): Line[] {
  const key = "got" in validation ? validation.got.key : undefined;
  return [
    providerLine(status.provider),
    providerKeyLine(status),
    ...("why" in validation
      ? [
          fail("validate", validation.why, "let preflight's caller have the role operate, and see fluo-kms validate"),
          skipped("cache-hit", "Validate gave no answer"),
          skipped("key-rotation", "Validate gave no answer"),
        ]
      : [validateLine(validation.got), cacheHitLine(validation.got), keyRotationLine(key?.rotation, validation.got)]),
  ];
}

function providerLine(provider: string | undefined): Line {
  if (provider === "local") {
    const found = "local: the master key is in the service's process, or in a file beside it";
    return fail("provider", found, "set fluo.kms.provider to aws, azure, gcp or vault");
  }
  return provider ? pass("provider", provider) : fail("provider", "the service does not say which it has");
}

function providerKeyLine({ provider_keys: keys = [] }: Evidence["status"]): Line {
  const told = (key: (typeof keys)[number]) => `${key.key_id ?? key.provider} ${key.condition}, ${key.detail}`;
  const wrong = keys.filter(({ condition }) => condition !== "answering");
  if (keys.length > 0 && wrong.length === 0) return pass("provider-key", keys.map(told).join("; "));
  const found = keys.length === 0 ? "the service does not say" : wrong.map(told).join("; ");
  return fail("provider-key", found, "fluo-kms validate says what is missing");
}

function validateLine({ overall, tests = {} }: Got<"validation">): Line {
  const failed = Object.entries(tests).filter(([, result]) => !result.startsWith("PASS") && !isUntried(result));
  if (overall !== "PASS" || failed.length > 0) {
    const found = [String(overall), ...failed.map(([name, result]) => `${name} ${result}`)].join("; ");
    return fail("validate", found, "fluo-kms validate says what to do");
  }
  return pass("validate", `${Object.keys(tests).length} tests`);
}

/** Tests that build on one that failed. */
function isUntried(result: string): boolean {
  return result.startsWith("FAIL: not tried");
}

function cacheHitLine({ tests = {}, latency_ms: { cache_hit: ms } = {} }: Got<"validation">): Line {
  if (isUntried(tests.key_retrieval_cache_hit ?? "")) return skipped("cache-hit", "Validate did not come to it");
  if (ms === undefined) return fail("cache-hit", "Validate does not say", "fluo-kms validate says why");
  if (ms < mostHitMs) return pass("cache-hit", `${ms} ms, far below 10 ms`);
  return fail("cache-hit", `${ms} ms`, "the process is short of CPU: give it more, or more replicas");
}

/** The provider's rotation of its own key. Providers say `off` first, then why. */
function keyRotationLine(
  rotation: string | null | undefined,
  { recommendation_details: recommended = [] }: Got<"validation">,
): Line {
  if (rotation === undefined || rotation === null) return skipped("key-rotation", "the provider does not tell");
  if (rotation === "off") {
    const how = recommended.find(({ code }) => code === "KEY_ROTATION_OFF")?.text;
    return fail("key-rotation", "off", how ?? "have the provider rotate its key: docs/KEYS.md");
  }
  if (rotation.startsWith("off")) return skipped("key-rotation", rotation, "rotate it by hand");
  return pass("key-rotation", rotation);
}

type Got<Name extends "validation" | "audit"> = Extract<Evidence[Name], { got: unknown }>["got"];
