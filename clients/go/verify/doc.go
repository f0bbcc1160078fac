// Package verify verifies signed spans offline, by the public keys of their tenant.
//
// It needs no network, no service and no clock: what it says follows from the spans, the keys and the
// times that both state. The keys are those that the service serves for a tenant as jwks.json:
//
//	keys, err := verify.ParseKeySet(jwks)
//	…
//	verdicts, err := keys.VerifyExport(export, "acme")
//
// [KeySet.Verify] judges one span, given as the wire bytes of OTLP messages; [KeySet.VerifyExport] takes a whole OTLP
// trace export. [Log] says whether the spans of an export are all of a log, in its order, from the first to the last. For
// the messages themselves, of any generated package, see VerifyMessages of package kms.
//
// The module depends on neither gRPC nor protobuf.
//
// Spans are read strictly: what two parsers could read in two ways, such as a field or an attribute key
// that is there twice, and what would not be covered by the signature, such as an unknown field, makes a
// span MALFORMED.
package verify
