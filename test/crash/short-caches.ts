/** Preloaded into the service: public keys are read from the store again after a second, as no setting can say. */
import { recordTimes } from "../../src/keys/keyring.ts";

Object.assign(recordTimes, { publicTtlMs: 1_000 });
