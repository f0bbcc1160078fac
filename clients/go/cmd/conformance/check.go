package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"github.com/fluo-dev/fluo-kms/clients/go/verify"
	"google.golang.org/protobuf/proto"
)

func check(found *results, given world) error {
	var s scenario
	if err := readJSON(given.Scenario, &s); err != nil {
		return err
	}
	jwks, err := os.ReadFile(given.Keys)
	if err != nil {
		return err
	}
	keys, err := verify.ParseKeySet(jwks)
	if err != nil {
		return err
	}
	ctx, client, done, err := given.open()
	if err != nil {
		return err
	}
	defer done()
	expect := expected{string(verify.OK), string(verify.OK)}
	if given.Expect != nil {
		expect = *given.Expect
	}
	expectService := expect
	if given.ExpectService != nil {
		expectService = *given.ExpectService
	}
	for _, path := range given.Evidence {
		var made evidence
		if err := readJSON(path, &made); err != nil {
			return err
		}
		c := checker{ctx, found, client, keys, s, made, given.Work}
		c.spans("individual", made.Individual, expect.Individual, expectService.Individual)
		c.spans("log", made.Log, expect.Log, expectService.Log)
		c.tokens()
		c.renewedTokens()
		c.record()
		c.blob()
		c.file()
	}
	return nil
}

type checker struct {
	ctx    context.Context
	found  *results
	client *kms.Client
	keys   *verify.KeySet
	scenario
	made evidence
	work string
}

func (c checker) check(ok bool, what string, why ...any) {
	c.found.check(ok, c.made.Language+", "+what, why...)
}

func (c checker) spans(kind string, encoded []byte, expect, expectService string) {
	var spans kmsv1.ResourceSpans
	if err := proto.Unmarshal(encoded, &spans); err != nil {
		c.check(false, kind, err)
		return
	}
	for _, scope := range spans.GetScopeSpans() {
		for i, span := range scope.GetSpans() {
			what := fmt.Sprintf("%s span %d", kind, i)
			offline, service := c.verdicts(spans.GetResource(), scope.GetScope(), span)
			c.check(string(offline.Reason) == expect, what+" offline", offline.Reason, " ", offline.Message)
			c.check(service == expectService, what+" by the service", service)
			span.Name += "!"
			offline, service = c.verdicts(spans.GetResource(), scope.GetScope(), span)
			c.check(!offline.Verified, what+" altered, offline")
			c.check(service != string(verify.OK), what+" altered, by the service", service)
		}
	}
}

func (c checker) verdicts(resource *kmsv1.Resource, scope *kmsv1.InstrumentationScope, span *kmsv1.Span) (verify.Verdict, string) {
	offline := kms.VerifyMessages(c.keys, c.Tenant, resource, scope, span, nil)
	answer, err := c.client.VerifySpan(c.ctx, &kmsv1.VerifySpanRequest{TenantId: c.Tenant, Span: span, Resource: resource, Scope: scope})
	if err != nil {
		return offline, err.Error()
	}
	return offline, strings.TrimPrefix(answer.GetReason().String(), "VERIFY_REASON_")
}

func (c checker) fields() (fields []*kmsv1.EncryptedField) {
	for _, each := range c.made.Tokens {
		fields = append(fields, &kmsv1.EncryptedField{Name: each.Name, Token: each.Token})
	}
	return fields
}

func (c checker) tokens() {
	fields := c.fields()
	c.check(c.opens(fields, c.made.Context), "tokens open")
	c.check(!c.opens(fields, map[string]string{"another": "context"}), "tokens do not open under another context")
	if len(fields) == 0 {
		return
	}
	other := []*kmsv1.EncryptedField{{Name: "other", Token: fields[0].GetToken()}}
	answer, err := c.client.DecryptPii(c.ctx, &kmsv1.DecryptPiiRequest{TenantId: c.Tenant, EncryptionContext: c.made.Context, Fields: other})
	c.check(err == nil && isRejected(answer.GetFields()[0].GetError()), "a token does not open under another name", err)
	answer, err = c.client.DecryptPii(c.ctx, &kmsv1.DecryptPiiRequest{TenantId: "another", EncryptionContext: c.made.Context, Fields: fields[:1]})
	c.check(err == nil && isRejected(answer.GetFields()[0].GetError()), "a token does not open for another tenant", err)
}

func (c checker) renewedTokens() {
	if len(c.made.Tokens) == 0 {
		return
	}
	renewed, err := c.client.ReEncryptPii(c.ctx, &kmsv1.ReEncryptPiiRequest{TenantId: c.Tenant, EncryptionContext: c.made.Context, Fields: c.fields()})
	if err != nil {
		c.check(false, "tokens are encrypted again", err)
		return
	}
	var fields []*kmsv1.EncryptedField
	for _, each := range renewed.GetFields() {
		fields = append(fields, &kmsv1.EncryptedField{Name: each.GetName(), Token: each.GetToken()})
	}
	c.check(c.opens(fields, c.made.Context), "tokens that were encrypted again open")
}

// opens says whether all tokens open to the scenario's values; none may open if it is to be false.
func (c checker) opens(fields []*kmsv1.EncryptedField, encryptionContext map[string]string) bool {
	answer, err := c.client.DecryptPii(c.ctx, &kmsv1.DecryptPiiRequest{TenantId: c.Tenant, EncryptionContext: encryptionContext, Fields: fields})
	if err != nil || len(answer.GetFields()) != len(c.Fields) {
		return false
	}
	opened := 0
	for i, each := range answer.GetFields() {
		if each.GetError() == nil && bytes.Equal(each.GetValue(), c.Fields[i].Value) {
			opened++
		}
	}
	if opened != 0 && opened != len(c.Fields) {
		c.check(false, "all tokens open, or none", opened)
	}
	return opened == len(c.Fields)
}

func (c checker) record() {
	if c.made.Record == nil {
		return
	}
	sealed := person{ID: c.Record.ID, Email: c.made.Record.Email, Note: []byte(c.made.Record.Note), Alias: c.made.Record.Alias}
	opened, err := kms.DecryptRecord(c.ctx, c.client, c.Tenant, sealed, c.made.Context)
	c.check(err == nil && opened.equals(c.person()), "the record opens", err)
}

func (c checker) blob() {
	key, err := c.client.DecryptDataKey(c.ctx, &kmsv1.DecryptDataKeyRequest{TenantId: c.Tenant, CiphertextBlob: c.made.Blob, EncryptionContext: c.made.Context})
	c.check(err == nil && len(key.GetPlaintext()) == 32, "the data key opens", err)
}

func (c checker) file() {
	if c.made.Sealed == nil {
		return
	}
	folder, err := os.MkdirTemp(c.work, "file")
	if err != nil {
		c.check(false, "a folder", err)
		return
	}
	sealed, opened := filepath.Join(folder, "sealed"), filepath.Join(folder, "opened")
	open := func(content []byte) error {
		if err := os.WriteFile(sealed, content, 0o600); err != nil {
			return err
		}
		return kms.OpenFile(c.ctx, c.client, c.Tenant, sealed, opened, c.made.Context)
	}
	err = open(c.made.Sealed)
	content, _ := os.ReadFile(opened)
	c.check(err == nil && bytes.Equal(content, c.scenario.File), "the file opens", err)
	altered := bytes.Clone(c.made.Sealed)
	altered[len(altered)-1] ^= 1
	err = open(altered)
	content, _ = os.ReadFile(opened)
	entries, _ := os.ReadDir(folder)
	c.check(err != nil && bytes.Equal(content, c.scenario.File) && len(entries) == 2, "an altered file does not, and leaves nothing", err, len(entries))
}
