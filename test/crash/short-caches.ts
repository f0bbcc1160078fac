/** Preloaded into the service: public keys are read from the store again after a second, as no setting can say. */
import { defaultKeyring } from "../../src/keys/keyring.ts";

Object.assign(defaultKeyring, { publicTtlMs: 1_000 });
