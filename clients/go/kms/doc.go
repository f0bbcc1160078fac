// Package kms is the client of fluo-kms, a key service: it signs spans, encrypts PII and hands out data keys.
//
//	client, err := kms.Dial("kms.example.com:9000", kms.WithToken(token))
//	…
//	defer client.Close()
//	answer, err := client.EncryptPii(ctx, &kmsv1.EncryptPiiRequest{TenantId: "acme", …})
//
// A [Client] has the methods of all three services; the messages are those of package kmsv1. Beside them are
// iterators over pages ([Client.Keys]), records whose fields are encrypted by their tags ([EncryptRecord]), sealed
// files ([SealFile], [OpenFile]), and a stream that signs spans in batches ([SpanSigner]). [DetailsOf] tells
// what an error says beside its code. Package kmsotel signs the spans that OpenTelemetry exports, package verify
// verifies them.
package kms
