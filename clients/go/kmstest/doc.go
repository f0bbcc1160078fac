// Package kmstest is a fake of fluo-kms for tests: in process, without network, files or a service.
//
//	func TestStoresNoEmailInClear(t *testing.T) {
//		fake := kmstest.New(t)
//		stored, err := kms.EncryptRecord(t.Context(), fake.Client(), "acme", customer, nil)
//		…
//	}
//
// Its one key is PUBLIC: it is in this package's source. What the fake encrypts is not secret, and what it signs is no
// evidence of anything. Use it in tests alone.
//
// It has GenerateDataKey, DecryptDataKey, EncryptPii, DecryptPii, SignSpan and VerifySpan, for every tenant, in the
// formats of the service: what one language's fake makes, another's opens. [Fake.Refuse] makes an rpc fail as the service
// does. Every other rpc is UNIMPLEMENTED, since the fake has no log and no administration: test those, and so kmsotel and
// SpanSigner, against a service of your own.
package kmstest
