package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func produce(found *results, given world) error {
	var s scenario
	if err := readJSON(given.Scenario, &s); err != nil {
		return err
	}
	ctx, client, done, err := given.open()
	if err != nil {
		return err
	}
	defer done()
	made := evidence{Language: "go", Context: s.Context}
	p := producer{ctx, found, client, s, given.Work}
	for what, step := range map[string]func(*evidence) error{"spans": p.signSpans, "log": p.signLog, "PII": p.encrypt, "file": p.seal} {
		if err := step(&made); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	p.refusals()
	p.pages()
	return writeJSON(given.Out, made)
}

type producer struct {
	ctx    context.Context
	found  *results
	client *kms.Client
	scenario
	work string
}

func (p producer) signSpans(made *evidence) (err error) {
	var spans kmsv1.ResourceSpans
	if err := proto.Unmarshal(p.Batch, &spans); err != nil {
		return err
	}
	for _, scope := range spans.GetScopeSpans() {
		for _, span := range scope.GetSpans() {
			answer, err := p.client.SignSpan(p.ctx, &kmsv1.SignSpanRequest{TenantId: p.Tenant, Span: span, Resource: spans.GetResource(), Scope: scope.GetScope()})
			if err != nil {
				return err
			}
			span.Attributes = append(span.Attributes, answer.GetAttributes()...)
		}
	}
	p.found.check(true, "spans are signed")
	made.Individual, err = proto.Marshal(&spans)
	return err
}

func (p producer) signLog(made *evidence) (err error) {
	var spans kmsv1.ResourceSpans
	if err := proto.Unmarshal(p.Batch, &spans); err != nil {
		return err
	}
	request := &kmsv1.SignSpansRequest{TenantId: p.Tenant, Mode: kmsv1.SignMode_SIGN_MODE_LOG, RequestId: rand.Text(), WithAttributes: true,
		ResourceSpans: []*kmsv1.ResourceSpans{&spans}}
	first, err := p.overStream(request)
	if err != nil {
		return err
	}
	again, err := p.overStream(request)
	if err != nil {
		return err
	}
	indices := func(results []*kmsv1.SpanResult) (indices []string) {
		for _, result := range results {
			indices = append(indices, fmt.Sprint(result.GetSigned().GetLeafIndex(), result.GetError()))
		}
		return indices
	}
	p.found.check(slices.Equal(indices(first), indices(again)), "a batch sent again has the same places", indices(first), indices(again))
	at := 0
	for _, scope := range spans.GetScopeSpans() {
		for _, span := range scope.GetSpans() {
			span.Attributes = append(span.Attributes, first[at].GetSigned().GetAttributes()...)
			at++
		}
	}
	p.found.check(at == len(first), "a span has a result", len(first))
	made.Log, err = proto.Marshal(&spans)
	return err
}

func (p producer) overStream(request *kmsv1.SignSpansRequest) (results []*kmsv1.SpanResult, err error) {
	stream, err := p.client.SignSpans(p.ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(request); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	for {
		answer, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		results = append(results, answer.GetResults()...)
		if answer.GetBatchDone() {
			_, _ = stream.Recv() // the end
			return results, nil
		}
	}
}

func (p producer) encrypt(made *evidence) error {
	request := &kmsv1.EncryptPiiRequest{TenantId: p.Tenant, EncryptionContext: p.Context}
	for _, field := range p.Fields {
		request.Fields = append(request.Fields, &kmsv1.PlainField{Name: field.Name, Value: field.Value})
	}
	answer, err := p.client.EncryptPii(p.ctx, request)
	if err != nil {
		return err
	}
	for _, field := range answer.GetFields() {
		made.Tokens = append(made.Tokens, token{field.GetName(), field.GetToken()})
	}
	record := p.person()
	encrypted, err := kms.EncryptRecord(p.ctx, p.client, p.Tenant, record, p.Context)
	if err != nil {
		return err
	}
	p.found.check(encrypted.ID == record.ID && encrypted.Phone == nil, "unmarked and absent fields stay as they are")
	made.Record = &recordTokens{encrypted.Email, string(encrypted.Note), encrypted.Alias}
	decrypted, err := kms.DecryptRecord(p.ctx, p.client, p.Tenant, encrypted, p.Context)
	p.found.check(err == nil && decrypted.equals(record), "a record opens", err)
	return nil
}

func (p producer) seal(made *evidence) error {
	key, err := p.client.GenerateDataKey(p.ctx, &kmsv1.GenerateDataKeyRequest{TenantId: p.Tenant, EncryptionContext: p.Context})
	if err != nil {
		return err
	}
	clear(key.GetPlaintext())
	made.Blob = key.GetCiphertextBlob()
	plain, sealed, opened := filepath.Join(p.work, "plain"), filepath.Join(p.work, "sealed"), filepath.Join(p.work, "opened")
	if err := os.WriteFile(plain, p.File, 0o600); err != nil {
		return err
	}
	if err := kms.SealFile(p.ctx, p.client, p.Tenant, plain, sealed, p.Context); err != nil {
		return err
	}
	if err := kms.OpenFile(p.ctx, p.client, p.Tenant, sealed, opened, p.Context); err != nil {
		return err
	}
	content, err := os.ReadFile(opened)
	p.found.check(err == nil && bytes.Equal(content, p.File), "a sealed file opens", err)
	made.Sealed, err = os.ReadFile(sealed)
	return err
}

func (p producer) refusals() {
	p.refusal()
	short, cancel := context.WithTimeout(p.ctx, time.Microsecond)
	defer cancel()
	_, err := p.client.Status(short, &kmsv1.StatusRequest{})
	p.found.check(status.Code(err) == codes.DeadlineExceeded, "a deadline passes", err)
}

func (p producer) refusal() {
	_, err := p.client.GenerateDataKey(p.ctx, &kmsv1.GenerateDataKeyRequest{TenantId: p.Refused.Tenant})
	details := kms.DetailsOf(err)
	p.found.check(sameCode(status.Code(err), p.Refused.Code) && details.Reason == p.Refused.Reason && len(details.Fields) == 1 &&
		details.Fields[0].Field == p.Refused.Field, "a refusal has code, reason and field", err, details)
}

// sameCode compares a code with its name in the specification, as in INVALID_ARGUMENT.
func sameCode(code codes.Code, name string) bool {
	return strings.EqualFold(code.String(), strings.ReplaceAll(name, "_", ""))
}

func (p producer) pages() {
	list := func(size uint32) (ids []string, err error) {
		for key, err := range p.client.Keys(p.ctx, &kmsv1.ListKeysRequest{TenantId: p.Tenant, PageSize: size}) {
			if err != nil {
				return nil, err
			}
			ids = append(ids, key.GetVersion().GetKeyId())
		}
		return ids, nil
	}
	one, err := list(1)
	all, otherErr := list(100)
	p.found.check(err == nil && otherErr == nil && len(all) >= 2 && slices.Equal(one, all), "pages of one are all keys", one, all, err, otherErr)
	public := func(size uint32) (ids []string, err error) {
		for key, err := range p.client.PublicKeys(p.ctx, &kmsv1.GetPublicKeysRequest{TenantId: p.Tenant, PageSize: size}) {
			if err != nil {
				return nil, err
			}
			ids = append(ids, key.GetKeyId())
		}
		slices.Sort(ids)
		return ids, nil
	}
	one, err = public(1)
	all, otherErr = public(100)
	p.found.check(err == nil && otherErr == nil && len(all) >= 1 && slices.Equal(one, all), "pages of one are all public keys", one, all, err, otherErr)
}
