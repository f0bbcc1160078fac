package dev.fluo.kms.verify;

/**
 * A key by the name of one of its tenant's logs.
 *
 * @param compromisedLog how far that log went when the key was marked as compromised; null where it was not
 */
record LogKey(PublishedKey key, String name, Checkpoint compromisedLog) {
  VerifierKey verifierKey() {
    return new VerifierKey(name, key.publicKey());
  }
}
