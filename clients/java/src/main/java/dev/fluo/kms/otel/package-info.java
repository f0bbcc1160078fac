/**
 * Signs the spans of an OpenTelemetry SDK on their way to a backend. Needs {@code opentelemetry-sdk-trace}, which is an
 * optional dependency.
 *
 * <pre>{@code
 * KmsClient client = KmsClient.builder("kms.example.com:9000").token(() -> readToken()).build();
 * SigningSpanExporter signing = SigningSpanExporter.builder(OtlpHttpSpanExporter.getDefault(), client, "acme").build();
 * SdkTracerProvider.builder().addSpanProcessor(signing.batchProcessor());
 * }</pre>
 */
package dev.fluo.kms.otel;
