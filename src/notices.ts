/**
 * Notices to operators: what Status and Validate say beside their figures. The code of each is for tools, which never have
 * to read the text; docs/NOTICES.md is made from the table here. A code keeps its meaning from release to release.
 */

export interface Notice {
  readonly code: NoticeCode;
  /** Name of what it is about, of the kind that the table says; empty if it is about the whole service. */
  readonly subject: string;
  /** A sentence for people. */
  readonly text: string;
}

interface Meaning {
  /** Kind of the subject; empty if there is none. */
  readonly subject: string;
  readonly meaning: string;
  /** True if a service that is ready for production may have it. */
  readonly mayStay?: true;
}

const ofStore = {
  STORE_UNAVAILABLE: {
    subject: "store",
    meaning: "The store gives no answer, so that no key can be made or looked up.",
  },
  LONG_READS_UNAVAILABLE: { subject: "store", meaning: "Only the connections of counts and listings get no answer." },
  STORE_LOG_LARGE: { subject: "store", meaning: "The write-ahead log of SQLite grows, because a reader holds it." },
  STORE_KEY_UNPINNED: { subject: "", meaning: "No setting says which store belongs to this service." },
  RECORD_DAMAGED: { subject: "", meaning: "Rows that were read in the last hour fail their authentication." },
  STORE_DAMAGED: { subject: "", meaning: "The examination of the store found keys, logs or indexes damaged." },
  TRAIL_DAMAGED: { subject: "", meaning: "The examination of the store found the audit trail or the heads damaged." },
  EXAMINATION_RUNNING: { subject: "", meaning: "The first examination since the start is under way.", mayStay: true },
  EXAMINATION_HELD_UP: { subject: "", meaning: "The examination cannot read a part of the store, and tries again." },
  STORE_PUT_BACK: { subject: "heads file", meaning: "The store is behind its heads file: somebody put it back." },
  HEADS_UNWRITTEN: { subject: "heads file", meaning: "The heads file cannot be written." },
  HEADS_BESIDE_STORE: { subject: "heads file", meaning: "The heads file is on the file system of the store." },
  HEADS_NOT_KEPT: { subject: "", meaning: "No heads file is kept." },
  AUDIT_UNWRITABLE: { subject: "", meaning: "Uses of keys cannot be audited, so no key is used." },
  UPGRADE_FINISHED: { subject: "release", meaning: "An upgrade was finished that this release is too old for." },
  BACKUP_FAILED: { subject: "", meaning: "The last planned backup failed." },
  BACKUP_HANGS: { subject: "", meaning: "A backup has been under way for more than an hour." },
  BACKUP_NOT_REMOVED: { subject: "", meaning: "A backup that should go could not be removed." },
  BACKUP_SHARED: { subject: "directory", meaning: "Backups are on the file system of the store." },
} as const satisfies Record<string, Meaning>;

const ofKeys = {
  PROVIDER_UNAVAILABLE: { subject: "provider", meaning: "The provider does not answer for its key." },
  PROVIDER_DENIED: { subject: "provider", meaning: "The provider refuses its key." },
  PROVIDER_UNTRUSTED: { subject: "provider", meaning: "The provider opened what it must refuse." },
  PROVIDER_PAUSED: { subject: "provider", meaning: "Calls to the provider are paused, because it did not answer." },
  PROVIDER_UNPROBED: { subject: "provider", meaning: "A probe of whether the provider lies could not be made." },
  TENANT_KEY_UNUSABLE: {
    subject: "provider key",
    meaning: "A provider key of tenants is refused or does not answer, which is their affair.",
    mayStay: true,
  },
  REWRAP_DUE: { subject: "provider key", meaning: "Keys are still under a former provider key.", mayStay: true },
  REWRAP_UNNAMED: { subject: "provider key", meaning: "Keys are under a provider key that no setting names." },
  CLOCKS_DISAGREE: { subject: "clock", meaning: "The service's clock and a second one are too far apart." },
  NO_SECOND_CLOCK: { subject: "", meaning: "Keys wait for destruction without a second clock.", mayStay: true },
  TIME_DAMAGED: { subject: "", meaning: "The time that services saw pass is damaged, so no key is destroyed." },
  DESTRUCTION_LATE: {
    subject: "",
    meaning: "Destructions are due by the clock, and wait for witnessed time.",
    mayStay: true,
  },
  DESTRUCTION_REQUESTED: { subject: "", meaning: "Destructions wait for a second caller.", mayStay: true },
} as const satisfies Record<string, Meaning>;

const ofCallers = {
  POLICY_REFUSED: { subject: "policy file", meaning: "The policy as it stands in its file is not in force." },
  POLICY_UNNOTED: { subject: "policy file", meaning: "The audit trail does not have the policy in force." },
  POLICY_WEAKENED: {
    subject: "separation, destruction or rules",
    meaning: "A reload weakened the policy in the last day.",
  },
  SEPARATION_OFF: { subject: "", meaning: "Callers that decrypt may have keys destroyed." },
  ONE_PERSON_DESTRUCTION: { subject: "", meaning: "One credential is enough to have a key destroyed.", mayStay: true },
  ROLES_MIXED: { subject: "caller", meaning: "Rules add up to roles that the policy keeps apart." },
  TOKENS_WITHOUT_END: { subject: "", meaning: "Static tokens have no expires.", mayStay: true },
  DECRYPT_FOR_ALL: { subject: "", meaning: "Rules give decrypt or decrypt-data-key for all tenants.", mayStay: true },
  ISSUER_KEYS_UNAVAILABLE: { subject: "issuer", meaning: "The keys of an issuer of tokens cannot be had." },
  REVOCATION_LIST_DUE: { subject: "", meaning: "A revocation list is out of date within a day, or already." },
  CERTIFICATE_ENDS: { subject: "", meaning: "The service's certificate ends within 7 days, or has ended." },
  CERTIFICATE_REFUSED: { subject: "file", meaning: "The service's certificate or key in its file is not in force." },
  LIMIT_ACTED: {
    subject: "setting or rule",
    meaning: "A limit held callers back in the last 10 minutes.",
    mayStay: true,
  },
} as const satisfies Record<string, Meaning>;

const ofSettings = {
  NODE_MISREADS_NAMES: { subject: "Node", meaning: "This Node misreads some names in JSON.", mayStay: true },
  KEY_IN_MEMORY: { subject: "", meaning: "The local master key ends with the process." },
  KEY_BESIDE_STORE: { subject: "", meaning: "The local master key lies beside the store that it opens." },
  STORE_IN_MEMORY: { subject: "", meaning: "The store ends with the process." },
  PROVIDER_LOCAL: { subject: "", meaning: "The provider is local, which is for development." },
  NO_AUTHENTICATION: { subject: "", meaning: "Nobody is asked for a credential." },
  TLS_TERMINATED: { subject: "", meaning: "A proxy speaks TLS before the service.", mayStay: true },
  PROFILE_MISSPELT: { subject: "profile", meaning: "The profile is nearly prod, and is not prod." },
  SERVER_IN_THE_CLEAR: { subject: "setting", meaning: "Keys go to a server without TLS." },
  SERVER_UNVERIFIED: { subject: "setting", meaning: "Tokens are given to whoever speaks TLS in a server's name." },
  SECRET_READABLE: { subject: "setting", meaning: "Every user of the machine can read a secret's file." },
  UNKNOWN_VARIABLE: { subject: "variable", meaning: "An environment variable looks like a setting and is none." },
  SETTING_REPEATED: { subject: "setting", meaning: "A file gives a setting more than once." },
  SETTING_IGNORED: { subject: "setting", meaning: "A setting has no effect." },
} as const satisfies Record<string, Meaning>;

const ofService = {
  SHUTTING_DOWN: { subject: "", meaning: "The service is ending." },
  KEY_PATH_WORKS: { subject: "", meaning: "Validate: every test passed.", mayStay: true },
  TEST_FAILED: { subject: "", meaning: "Validate: what to do about a test that failed." },
  PROVIDER_ADVICE: { subject: "provider", meaning: "Validate: what to change at the provider's key.", mayStay: true },
  KEY_ROTATION_OFF: { subject: "provider", meaning: "Validate: how to have the provider rotate its key." },
  CLOCK_SKEWED: { subject: "", meaning: "Validate: the service's clock is not the provider's." },
  CACHE_HIT_SLOW: { subject: "", meaning: "Validate: a cached key took 10 ms or more." },
  CACHE_MISS_SLOW: { subject: "", meaning: "Validate: a key that is not cached took 100 ms or more.", mayStay: true },
  NO_STALE_KEYS: { subject: "setting", meaning: "Validate: cached keys end with the provider.", mayStay: true },
} as const satisfies Record<string, Meaning>;

export const noticeCodes = { ...ofStore, ...ofKeys, ...ofCallers, ...ofSettings, ...ofService };

export type NoticeCode = keyof typeof noticeCodes;

export function notice(code: NoticeCode, text: string, subject = ""): Notice {
  return { code, subject, text };
}

/** True if a service that is ready for production may have a notice of this code. Codes of later releases may not stay. */
export function mayStay(code: string): boolean {
  const found: Meaning | undefined = Object.hasOwn(noticeCodes, code) ? noticeCodes[code as NoticeCode] : undefined;
  return found?.mayStay === true;
}

/** Why the service is not operational. */
export interface Problem {
  readonly status: "degraded" | "down";
  readonly notice: Notice;
}
