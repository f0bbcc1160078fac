package kms_test

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fluo-dev/fluo-kms/clients/go/internal/testservice"
	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// No test depends on speed: what takes this long hangs.
const hung = 2 * time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func contextOf(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, address string, options ...kms.Option) *kms.Client {
	t.Helper()
	client, err := kms.Dial(address, append([]kms.Option{kms.WithInsecure()}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestACallIsAnsweredAndARefusalHasDetails(t *testing.T) {
	client := dial(t, testservice.Start(t).Address)
	ctx := contextOf(t)
	if _, err := client.GenerateDataKey(ctx, &kmsv1.GenerateDataKeyRequest{TenantId: "acme"}); err != nil {
		t.Fatal(err)
	}
	_, err := client.GenerateDataKey(ctx, &kmsv1.GenerateDataKeyRequest{TenantId: "Acme Ltd"})
	details := kms.DetailsOf(err)
	if status.Code(err) != codes.InvalidArgument || details.Reason != "INVALID_ARGUMENT" || len(details.Fields) != 1 ||
		details.Fields[0].Field != "tenant_id" || details.Fields[0].Description == "" {
		t.Errorf("%v: %+v", err, details)
	}
	short, cancel := context.WithTimeout(ctx, time.Microsecond)
	defer cancel()
	if _, err := client.Status(short, &kmsv1.StatusRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
}

func TestPagesAreAllThereHoweverSmall(t *testing.T) {
	client := dial(t, testservice.Start(t).Address)
	ctx := contextOf(t)
	for _, tenant := range []string{"acme", "globex"} {
		if _, err := client.GenerateDataKey(ctx, &kmsv1.GenerateDataKeyRequest{TenantId: tenant}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.SignSpan(ctx, &kmsv1.SignSpanRequest{TenantId: tenant, Span: span(1, "a")}); err != nil {
			t.Fatal(err)
		}
	}
	var ids [2][]string
	for i, size := range []uint32{1, 100} {
		for key, err := range client.Keys(ctx, &kmsv1.ListKeysRequest{PageSize: size}) {
			if err != nil {
				t.Fatal(err)
			}
			ids[i] = append(ids[i], key.GetVersion().GetKeyId())
		}
	}
	if len(ids[0]) != 4 || len(ids[1]) != 4 || ids[0][3] != ids[1][3] {
		t.Errorf("%v, %v", ids[0], ids[1])
	}
	public := 0
	for _, err := range client.PublicKeys(ctx, &kmsv1.GetPublicKeysRequest{TenantId: "acme"}) {
		if err != nil {
			t.Fatal(err)
		}
		public++
	}
	if public != 1 {
		t.Errorf("%d public keys", public)
	}
	for range client.AuditEvents(ctx, &kmsv1.ListAuditEventsRequest{PageSize: 1}) {
		break // asks for no further page
	}
	var failed error
	for _, err := range client.Keys(ctx, &kmsv1.ListKeysRequest{PageSize: 1001}) {
		failed = err
	}
	if status.Code(failed) != codes.InvalidArgument {
		t.Errorf("a page that is too large: %v", failed)
	}
}

func TestATokenIsNotSentOverTheNetworkInTheClear(t *testing.T) {
	asked := false
	token := kms.WithToken(func(context.Context) (string, error) {
		asked = true
		return "secret", nil
	})
	for _, target := range []string{"192.0.2.1:9000", "kms.example.com:9000", "dns:///kms.example.com:9000", "localhost.example.com:1",
		"xds:///kms"} {
		if _, err := kms.Dial(target, kms.WithInsecure(), token); err == nil {
			t.Errorf("%s is taken", target)
		}
	}
	for _, target := range []string{"127.0.0.1:1", "localhost:1", "[::1]:1", "dns:///localhost:1", "unix:/tmp/kms"} {
		client, err := kms.Dial(target, kms.WithInsecure(), token)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		_ = client.Close()
	}
	if asked {
		t.Error("the token function was asked")
	}
	if _, err := kms.Dial("localhost:1", kms.WithInsecure(), kms.WithCAFile("ca.pem")); err == nil {
		t.Error("certificates without TLS are taken")
	}
	if _, err := kms.Dial("localhost:1", kms.WithCAFile("no such file")); err == nil {
		t.Error("a CA file that is not there is taken")
	}
}

func TestACallWithoutADeadlineGetsOne(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	client := dial(t, silent.Addr().String(), kms.WithDeadline(50*time.Millisecond))
	if _, err := client.Status(context.Background(), &kmsv1.StatusRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
}

func TestDetailsOfAnythingElseAreEmpty(t *testing.T) {
	for _, err := range []error{nil, context.Canceled, status.Error(codes.Internal, "x")} {
		if details := kms.DetailsOf(err); details.Reason != "" || details.Fields != nil || details.RetryAfter != 0 {
			t.Errorf("%v: %+v", err, details)
		}
	}
}
