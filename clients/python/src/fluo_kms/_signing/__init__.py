"""What `fluo_kms.signer` is made of: batches, their answers, and the stream that they go over."""
