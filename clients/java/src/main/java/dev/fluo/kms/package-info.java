/**
 * Client of fluo-kms over gRPC: connection, signing of spans, records with personal data, sealed files.
 *
 * <pre>{@code
 * try (KmsClient client = KmsClient.builder("kms.example.com:9000").token(() -> readToken()).build()) {
 *   client.kms().generateDataKey(GenerateDataKeyRequest.newBuilder().setTenantId("acme").build());
 * }
 * }</pre>
 */
package dev.fluo.kms;
