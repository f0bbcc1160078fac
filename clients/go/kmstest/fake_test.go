package kmstest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/internal/testservice"
	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmstest"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"github.com/fluo-dev/fluo-kms/clients/go/verify"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type customer struct {
	ID    string
	Email string `kms:"email"`
}

func TestARecordAndAFileOpenForTheirTenantAlone(t *testing.T) {
	fake := kmstest.New(t)
	client, ctx := fake.Client(), t.Context()
	stored, err := kms.EncryptRecord(ctx, client, "acme", customer{"7", "ann@example.com"}, nil)
	if err != nil || strings.Contains(stored.Email, "ann") {
		t.Fatalf("%+v, %v", stored, err)
	}
	if read, err := kms.DecryptRecord(ctx, client, "acme", stored, nil); err != nil || read.Email != "ann@example.com" {
		t.Errorf("%+v, %v", read, err)
	}
	for tenant, pairs := range map[string]map[string]string{"globex": nil, "acme": {"table": "customers"}} {
		if _, err := kms.DecryptRecord(ctx, client, tenant, stored, pairs); err == nil {
			t.Errorf("it opens for %s with %v", tenant, pairs)
		}
	}

	folder := t.TempDir()
	plain, sealed, opened := filepath.Join(folder, "plain"), filepath.Join(folder, "sealed"), filepath.Join(folder, "opened")
	text := bytes.Repeat([]byte("0123456789abcdef"), 3000)
	if err := os.WriteFile(plain, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := kms.SealFile(ctx, client, "acme", plain, sealed, nil); err != nil {
		t.Fatal(err)
	}
	if err := kms.OpenFile(ctx, client, "acme", sealed, opened, nil); err != nil {
		t.Fatal(err)
	}
	if read, err := os.ReadFile(opened); err != nil || !bytes.Equal(read, text) {
		t.Errorf("%d bytes, %v", len(read), err)
	}
	if err := kms.OpenFile(ctx, client, "globex", sealed, opened, nil); err != kms.ErrNotAuthentic {
		t.Error(err)
	}
}

func TestASignedSpanVerifiesUntilItIsChanged(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.FixedZone("", 3600))
	fake := kmstest.New(t, kmstest.WithClock(func() time.Time { return at }))
	span := &kmsv1.Span{TraceId: []byte("a trace's id, 16"), SpanId: []byte("8 bytes."), Name: "approve"}
	signed, err := fake.Client().SignSpan(t.Context(), &kmsv1.SignSpanRequest{TenantId: "acme", Span: span})
	if err != nil || signed.GetSignedAt().AsTime() != at.Truncate(time.Millisecond).UTC() {
		t.Fatalf("%v, %v", signed, err)
	}
	span.Attributes = append(span.Attributes, signed.GetAttributes()...)
	keys, err := verify.ParseKeySet(fake.KeySet())
	if err != nil {
		t.Fatal(err)
	}
	beside := &kmsv1.VerifySpanRequest_SignedStatement{
		SignedStatement: &kmsv1.SignedStatement{Statement: signed.GetStatement(), Signature: signed.GetSignature()}}
	for _, change := range []struct {
		name, tenant  string
		alone, beside kmsv1.VerifyReason
	}{
		{"approve", "acme", kmsv1.VerifyReason_VERIFY_REASON_OK, kmsv1.VerifyReason_VERIFY_REASON_OK},
		{"approve!", "acme", kmsv1.VerifyReason_VERIFY_REASON_SIGNATURE_MISMATCH, kmsv1.VerifyReason_VERIFY_REASON_SPAN_MISMATCH},
		{"approve", "globex", kmsv1.VerifyReason_VERIFY_REASON_UNKNOWN_KEY, kmsv1.VerifyReason_VERIFY_REASON_UNKNOWN_KEY},
	} {
		span.Name = change.name
		offline := kms.VerifyMessages(keys, change.tenant, nil, nil, span, nil)
		for request, want := range map[*kmsv1.VerifySpanRequest]kmsv1.VerifyReason{
			{TenantId: change.tenant, Span: span}:                   change.alone,
			{TenantId: change.tenant, Span: span, Evidence: beside}: change.beside,
		} {
			answer, err := fake.Client().VerifySpan(t.Context(), request)
			if err != nil || answer.GetReason() != want || answer.GetVerified() != (change.name == "approve" && change.tenant == "acme") {
				t.Errorf("%+v: %v, %v", change, answer, err)
			}
		}
		if "VERIFY_REASON_"+string(offline.Reason) != change.alone.String() {
			t.Errorf("%+v offline: %+v", change, offline)
		}
	}
}

func TestWhatTheFakeDoesNotHaveSaysWhereToTestIt(t *testing.T) {
	client, ctx := kmstest.New(t).Client(), t.Context()
	for name, call := range map[string]func() error{
		"KeyAdminService/ListKeys": func() error { _, err := client.ListKeys(ctx, &kmsv1.ListKeysRequest{}); return err },
		"LogService/GetCheckpoint": func() error { _, err := client.GetCheckpoint(ctx, &kmsv1.GetCheckpointRequest{}); return err },
		"KmsService/Rotate":        func() error { _, err := client.Rotate(ctx, &kmsv1.RotateRequest{}); return err },
		"KmsService/SignSpans": func() error {
			stream, err := client.SignSpans(ctx)
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		err := call()
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "npm start") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATokenIsTakenAndAClosedFakeRefuses(t *testing.T) {
	asked := 0
	fake, err := kmstest.Start(kmstest.WithClientOptions(kms.WithToken(func(context.Context) (string, error) {
		asked++
		return "token", nil
	})))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fake.Client().GenerateDataKey(t.Context(), &kmsv1.GenerateDataKeyRequest{TenantId: "acme"}); err != nil || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
	if err := fake.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := fake.Client().GenerateDataKey(t.Context(), &kmsv1.GenerateDataKeyRequest{TenantId: "acme"}); err == nil {
		t.Error("it answers")
	}
}

// refused has a case for each check that the fake makes.
func refused() map[string]func(context.Context, *kms.Client) error {
	plain := func(fields ...*kmsv1.PlainField) func(context.Context, *kms.Client) error {
		return func(ctx context.Context, client *kms.Client) error {
			_, err := client.EncryptPii(ctx, &kmsv1.EncryptPiiRequest{TenantId: "acme", Fields: fields})
			return err
		}
	}
	field := func(name string, bytes int) *kmsv1.PlainField {
		return &kmsv1.PlainField{Name: name, Value: make([]byte, bytes)}
	}
	many := func(count, bytes int) (fields []*kmsv1.PlainField) {
		for range count {
			fields = append(fields, field("x", bytes))
		}
		return fields
	}
	key := func(request *kmsv1.GenerateDataKeyRequest) func(context.Context, *kms.Client) error {
		return func(ctx context.Context, client *kms.Client) error {
			_, err := client.GenerateDataKey(ctx, request)
			return err
		}
	}
	pairs := map[string]string{}
	for i := range 17 {
		pairs[fmt.Sprint(i)] = ""
	}
	sign := func(request *kmsv1.SignSpanRequest) func(context.Context, *kms.Client) error {
		return func(ctx context.Context, client *kms.Client) error {
			_, err := client.SignSpan(ctx, request)
			return err
		}
	}
	span := &kmsv1.Span{TraceId: make([]byte, 16), SpanId: []byte("8 bytes."), Name: "x"}
	return map[string]func(context.Context, *kms.Client) error{
		"no tenant":        key(&kmsv1.GenerateDataKeyRequest{}),
		"a tenant's form":  key(&kmsv1.GenerateDataKeyRequest{TenantId: "Acme Ltd"}),
		"a line feed":      key(&kmsv1.GenerateDataKeyRequest{TenantId: "acme\n"}),
		"64 characters":    key(&kmsv1.GenerateDataKeyRequest{TenantId: strings.Repeat("a", 64)}),
		"a key spec":       key(&kmsv1.GenerateDataKeyRequest{TenantId: "acme", KeySpec: 9}),
		"17 pairs":         key(&kmsv1.GenerateDataKeyRequest{TenantId: "acme", EncryptionContext: pairs}),
		"4097 bytes":       key(&kmsv1.GenerateDataKeyRequest{TenantId: "acme", EncryptionContext: map[string]string{"a": strings.Repeat("b", 4096)}}),
		"no fields":        plain(),
		"1001 fields":      plain(many(1001, 0)...),
		"no name":          plain(field("x", 0), field("", 0)),
		"a long name":      plain(field(strings.Repeat("ü", 129), 0)),
		"20 names":         plain(func() []*kmsv1.PlainField { return make([]*kmsv1.PlainField, 20) }()...),
		"a long value":     plain(field("x", 65_537)),
		"2 MiB and a byte": plain(append(many(32, 65_536), field("x", 1))...),
		"a blob": func(ctx context.Context, client *kms.Client) error {
			_, err := client.DecryptDataKey(ctx, &kmsv1.DecryptDataKeyRequest{TenantId: "acme", CiphertextBlob: []byte("blob")})
			return err
		},
		"no span":          sign(&kmsv1.SignSpanRequest{TenantId: "acme"}),
		"a trace of zeros": sign(&kmsv1.SignSpanRequest{TenantId: "acme", Span: span}),
		"a span's tenant":  sign(&kmsv1.SignSpanRequest{TenantId: "Acme", Span: &kmsv1.Span{TraceId: []byte("a trace's id, 16"), SpanId: []byte("8 bytes.")}}),
		"a verified no span": func(ctx context.Context, client *kms.Client) error {
			_, err := client.VerifySpan(ctx, &kmsv1.VerifySpanRequest{TenantId: "acme"})
			return err
		},
		"no token": func(ctx context.Context, client *kms.Client) error {
			_, err := client.DecryptPii(ctx, &kmsv1.DecryptPiiRequest{TenantId: "acme"})
			return err
		},
	}
}

func TestItRefusesAsTheServiceDoes(t *testing.T) {
	service, err := kms.Dial(testservice.Start(t).Address, kms.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	fake := kmstest.New(t)
	for name, call := range refused() {
		want, found := call(t.Context(), service), call(t.Context(), fake.Client())
		if want == nil {
			t.Errorf("%s: the service does not refuse", name)
		}
		if status.Code(found) != status.Code(want) || status.Convert(found).Message() != status.Convert(want).Message() ||
			fmt.Sprint(kms.DetailsOf(found)) != fmt.Sprint(kms.DetailsOf(want)) {
			t.Errorf("%s: the fake says %v, %+v\nthe service %v, %+v", name, found, kms.DetailsOf(found), want, kms.DetailsOf(want))
		}
	}
}

func TestRefusalsByNameAreThoseOfTheService(t *testing.T) {
	content, err := os.ReadFile("../../conformance/refusals.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Reason   string
		Code     codes.Code
		RetryMs  int64
		Pushback string
	}
	if err := json.Unmarshal(content, &rows); err != nil || len(rows) == 0 {
		t.Fatal(err)
	}
	fake := kmstest.New(t)
	ctx, trailer := t.Context(), newTrailer()
	request := &kmsv1.GenerateDataKeyRequest{TenantId: "acme"}
	for _, row := range rows {
		fake.Refuse("GenerateDataKey", row.Reason)
		trailer.Set("grpc-retry-pushback-ms")
		_, err := fake.Client().GenerateDataKey(ctx, request, trailer.option())
		details := kms.DetailsOf(err)
		if status.Code(err) != row.Code || details.Reason != row.Reason || details.RetryAfter.Milliseconds() != row.RetryMs ||
			strings.Join(trailer.Get("grpc-retry-pushback-ms"), ",") != row.Pushback {
			t.Errorf("%+v: %v, %+v, %v", row, err, details, trailer)
		}
		fake.Allow("GenerateDataKey")
		if _, err := fake.Client().GenerateDataKey(ctx, request); err != nil {
			t.Errorf("%s, allowed: %v", row.Reason, err)
		}
	}
	if listed := panicOf(func() { fake.Refuse("EncryptPii", "NO_SUCH") }); strings.Count(listed, ",") != len(rows)-1 {
		t.Errorf("other reasons than the service's: %s", listed)
	}
}

func TestSomeCallsAreRefusedAndTheNextIsNot(t *testing.T) {
	fake := kmstest.New(t)
	request := &kmsv1.GenerateDataKeyRequest{TenantId: "acme"}
	fake.RefuseTimes("GenerateDataKey", "KEY_UNUSABLE", 2)
	fake.Refuse("SignSpan", "INTERNAL")
	for i := range 3 {
		_, err := fake.Client().GenerateDataKey(t.Context(), request)
		if (err == nil) != (i == 2) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	// The client's own retries find the service back.
	fake.RefuseTimes("GenerateDataKey", "STORE_UNAVAILABLE", 3)
	if _, err := fake.Client().GenerateDataKey(t.Context(), request); err != nil {
		t.Error(err)
	}
}

func TestCodeUnderTestMayCloseItsClient(t *testing.T) {
	fake, err := kmstest.Start()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := errors.Join(fake.Client().Close(), fake.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestUnknownNamesPanicAndListTheOthers(t *testing.T) {
	fake := kmstest.New(t)
	for want, call := range map[string]func(){
		`"encryptPii"`:     func() { fake.Refuse("encryptPii", "INTERNAL") },
		"VerifySpan":       func() { fake.Allow("Rotate") },
		"KEY_UNUSABLE":     func() { fake.Refuse("EncryptPii", "no") },
		"0 calls":          func() { fake.RefuseTimes("EncryptPii", "INTERNAL", 0) },
		"GenerateDataKey,": func() { fake.RefuseTimes("ListKeys", "INTERNAL", 1) },
	} {
		if said := panicOf(call); !strings.Contains(said, want) {
			t.Errorf("%q does not say %s", said, want)
		}
	}
}

func panicOf(call func()) (said string) {
	defer func() { said, _ = recover().(string) }()
	call()
	return ""
}
