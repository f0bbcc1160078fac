package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmstest"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"github.com/fluo-dev/fluo-kms/clients/go/verify"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// fake has the fake do the scenario, and open what those of other languages made.
func fake(found *results, given world) (err error) {
	var s scenario
	if err := readJSON(given.Scenario, &s); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	served, err := kmstest.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, served.Close()) }()
	keys, err := verify.ParseKeySet(served.KeySet())
	if err != nil {
		return err
	}
	made := evidence{Language: "go", Context: s.Context}
	p := producer{ctx, found, served.Client(), s, given.Work}
	for _, step := range []func(*evidence) error{p.signSpans, p.encrypt, p.seal} {
		if err := step(&made); err != nil {
			return err
		}
	}
	p.sealBytes()
	p.refusal()
	f := fakeChecker{ctx, found, served}
	if err := f.refusals(given.Refusals); err != nil {
		return err
	}
	if err := f.sealedVectors(given.Vectors); err != nil {
		return err
	}
	if err := f.spanVectors(given.Vectors); err != nil {
		return err
	}
	if err := writeJSON(given.Out, made); err != nil {
		return err
	}
	others := []evidence{made}
	for _, path := range given.Evidence {
		var other evidence
		if err := readJSON(path, &other); err != nil {
			return err
		}
		others = append(others, other)
	}
	for _, other := range others {
		c := checker{ctx, found, served.Client(), keys, s, other, given.Work}
		c.spans("individual", other.Individual, string(verify.OK), string(verify.OK))
		c.tokens()
		c.record()
		c.blob()
		c.file()
		opened, err := kms.OpenBytes(ctx, served.Client(), s.Tenant, other.Sealed, other.Context)
		c.check(err == nil && bytes.Equal(opened, s.File), "the sealed file opens as bytes", err)
		_, err = served.Client().DecryptDataKey(ctx, &kmsv1.DecryptDataKeyRequest{TenantId: "another", CiphertextBlob: other.Blob, EncryptionContext: other.Context})
		c.check(kms.DetailsOf(err).Reason == "CIPHERTEXT_REJECTED", "the data key does not open for another tenant", err)
	}
	return nil
}

func (p producer) sealBytes() {
	sealed, err := kms.SealBytes(p.ctx, p.client, p.Tenant, p.File, p.Context)
	p.found.check(err == nil, "bytes are sealed", err)
	opened, err := kms.OpenBytes(p.ctx, p.client, p.Tenant, sealed, p.Context)
	p.found.check(err == nil && bytes.Equal(opened, p.File), "sealed bytes open", err)
	_, err = kms.OpenBytes(p.ctx, p.client, "another", sealed, p.Context)
	p.found.check(errors.Is(err, kms.ErrNotAuthentic), "sealed bytes do not open for another tenant", err)
}

type fakeChecker struct {
	ctx   context.Context
	found *results
	*kmstest.Fake
}

func (f fakeChecker) refusals(path string) error {
	var rows []struct {
		Reason   string     `json:"reason"`
		Code     codes.Code `json:"code"`
		RetryMs  int64      `json:"retryMs"`
		Pushback string     `json:"pushback"`
	}
	if err := readJSON(path, &rows); err != nil {
		return err
	}
	request := &kmsv1.EncryptPiiRequest{TenantId: "acme", Fields: []*kmsv1.PlainField{{Name: "email"}}}
	for _, row := range rows {
		f.Refuse("EncryptPii", row.Reason)
		var trailer metadata.MD
		_, err := f.Client().EncryptPii(f.ctx, request, grpc.Trailer(&trailer))
		details := kms.DetailsOf(err)
		f.found.check(status.Code(err) == row.Code && details.Reason == row.Reason && details.RetryAfter == time.Duration(row.RetryMs)*time.Millisecond &&
			strings.Join(trailer.Get("grpc-retry-pushback-ms"), ",") == row.Pushback, "refused by "+row.Reason, err, details, trailer)
		f.Allow("EncryptPii")
		_, err = f.Client().EncryptPii(f.ctx, request)
		f.found.check(err == nil, "allowed after "+row.Reason, err)
	}
	return nil
}

// sealedVector is of any file of test/vectors/pii.
type sealedVector struct {
	Name            string      `json:"name"`
	Tenant          string      `json:"tenant_id"`
	Field           string      `json:"field"`
	Pairs           [][2]string `json:"pairs"`
	Token           string      `json:"token"`
	Says            string      `json:"says"`
	PlaintextSHA256 string      `json:"plaintext_sha256"`
	Plaintext       string      `json:"plaintext"`
	CiphertextBlob  string      `json:"ciphertext_blob"`
}

func (v sealedVector) context() map[string]string {
	pairs := map[string]string{}
	for _, pair := range v.Pairs {
		pairs[pair[0]] = pair[1]
	}
	return pairs
}

func (f fakeChecker) openToken(tenant, field string, of sealedVector) (*kmsv1.DecryptedField, error) {
	answer, err := f.Client().DecryptPii(f.ctx, &kmsv1.DecryptPiiRequest{TenantId: tenant, EncryptionContext: of.context(),
		Fields: []*kmsv1.EncryptedField{{Name: field, Token: of.Token}}})
	if err != nil {
		return nil, err
	}
	return answer.GetFields()[0], nil
}

func (f fakeChecker) sealedVectors(folder string) error {
	var tokens, rejected, reserved, blobs []sealedVector
	for name, into := range map[string]*[]sealedVector{"tokens": &tokens, "rejected": &rejected, "reserved": &reserved, "data-key-blobs": &blobs} {
		if err := readJSON(filepath.Join(folder, "pii", name+".json"), into); err != nil {
			return err
		}
	}
	for _, each := range tokens {
		opened, err := f.openToken(each.Tenant, each.Field, each)
		digest := sha256.Sum256(opened.GetValue())
		f.found.check(err == nil && opened.GetError() == nil && hex.EncodeToString(digest[:]) == each.PlaintextSHA256, each.Name+" opens", err, opened.GetError())
	}
	for _, each := range rejected {
		opened, err := f.openToken(each.Tenant, each.Field, each)
		f.found.check(err == nil && isRejected(opened.GetError()) && opened.GetError().GetMessage() == "ciphertext rejected", each.Name+" is rejected", err, opened.GetError())
	}
	for _, each := range reserved {
		opened, err := f.openToken("acme", "email", each)
		f.found.check(err == nil && isRejected(opened.GetError()) && strings.Contains(opened.GetError().GetMessage(), each.Says), each.Name+" is reserved", err, opened.GetError())
	}
	for _, each := range blobs {
		blob, err := hex.DecodeString(each.CiphertextBlob)
		if err != nil {
			return err
		}
		key, err := f.Client().DecryptDataKey(f.ctx, &kmsv1.DecryptDataKeyRequest{TenantId: each.Tenant, CiphertextBlob: blob, EncryptionContext: each.context()})
		f.found.check(err == nil && hex.EncodeToString(key.GetPlaintext()) == each.Plaintext, each.Name+" opens", err)
	}
	return nil
}

func isRejected(found *kmsv1.ItemError) bool {
	return codes.Code(found.GetCode()) == codes.InvalidArgument && found.GetField() == "fields[0].token"
}

func (f fakeChecker) spanVectors(folder string) (err error) {
	var accepted struct {
		SignedAtMs int64 `json:"signedAtMs"`
		Spans      []struct {
			Name      string `json:"name"`
			Request   string `json:"signSpanRequest"`
			Statement string `json:"statement"`
			Signature string `json:"signature"`
		} `json:"spans"`
	}
	var refused []struct {
		Name  string `json:"name"`
		Span  string `json:"span"`
		Field string `json:"field"`
	}
	if err := errors.Join(readJSON(filepath.Join(folder, "span", "accepted.json"), &accepted), readJSON(filepath.Join(folder, "span", "refused.json"), &refused)); err != nil {
		return err
	}
	then, err := kmstest.Start(kmstest.WithClock(func() time.Time { return time.UnixMilli(accepted.SignedAtMs) }))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, then.Close()) }()
	sign := func(request []byte) (*kmsv1.SignSpanResponse, error) {
		// The bytes as they are, also those that no message can have.
		sent := &kmsv1.SignSpanRequest{}
		sent.ProtoReflect().SetUnknown(request)
		return then.Client().SignSpan(f.ctx, sent)
	}
	for _, each := range accepted.Spans {
		request, err := hex.DecodeString(each.Request)
		if err != nil {
			return err
		}
		signed, err := sign(request)
		f.found.check(err == nil && string(signed.GetStatement()) == each.Statement && hex.EncodeToString(signed.GetSignature()) == each.Signature,
			each.Name+" is signed", err)
	}
	for _, each := range refused {
		span, err := hex.DecodeString(each.Span)
		if err != nil {
			return err
		}
		request := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "acme")
		_, err = sign(protowire.AppendBytes(protowire.AppendTag(request, 2, protowire.BytesType), span))
		fields := kms.DetailsOf(err).Fields
		f.found.check(status.Code(err) == codes.InvalidArgument && len(fields) == 1 && (each.Field == "" || fields[0].Field == each.Field),
			each.Name+" is refused", err, fields)
	}
	return nil
}
