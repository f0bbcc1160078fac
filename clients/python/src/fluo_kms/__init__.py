"""Client of fluo-kms, the key service that signs spans, encrypts personal data and hands out data keys."""
