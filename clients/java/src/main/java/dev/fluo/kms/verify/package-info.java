/**
 * Verifies signed spans offline: individual signatures and log proofs, by a tenant's published keys, and
 * that the spans of a log are all there, unchanged and in order.
 * Needs neither a service nor gRPC nor protobuf.
 *
 * <pre>{@code
 * KeySet keys = KeySet.parse(Files.readString(Path.of("jwks.json")));
 * for (Verdict verdict : new Verifier(keys).verifyExport(Files.readAllBytes(Path.of("spans.json")))) {
 *   System.out.println(verdict.reason());
 * }
 * }</pre>
 */
package dev.fluo.kms.verify;
