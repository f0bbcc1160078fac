package main

import (
	"context"
	"fmt"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func pushback(found *results, given world) error {
	ctx, client, done, err := given.open()
	if err != nil {
		return err
	}
	defer done()
	call := func(tenant string) error {
		_, err := client.Status(ctx, &kmsv1.StatusRequest{TenantId: tenant})
		return err
	}
	expect := func(what string, err error, want codes.Code) {
		found.check(status.Code(err) == want, what, err)
	}
	expect("UNAVAILABLE twice", call("unavailable-twice"), codes.OK)
	began := time.Now()
	expect("pushback", call("exhausted-once"), codes.OK)
	found.check(time.Since(began) >= 1500*time.Millisecond, "pushback is waited for", time.Since(began))
	expect("never", call("never"), codes.Unavailable)
	expect("always", call("always"), codes.Unavailable)
	expect("invalid", call("invalid"), codes.InvalidArgument)
	details := kms.DetailsOf(call("details"))
	found.check(details.Reason == "QUOTA" && details.RetryAfter == 7500*time.Millisecond && len(details.Fields) == 1 &&
		details.Fields[0] == kms.FieldViolation{Field: "a.b", Description: "too many"}, "details", fmt.Sprintf("%+v", details))

	_, err = client.GetCheckpoint(ctx, &kmsv1.GetCheckpointRequest{TenantId: "unavailable-twice"})
	expect("GetCheckpoint", err, codes.OK)
	_, err = client.ListKeys(ctx, &kmsv1.ListKeysRequest{TenantId: "unavailable-twice"})
	expect("ListKeys", err, codes.OK)
	for what, call := range map[string]func(context.Context) error{
		"Rotate": func(ctx context.Context) error {
			_, err := client.Rotate(ctx, &kmsv1.RotateRequest{TenantId: "always"})
			return err
		},
		"Validate": func(ctx context.Context) error {
			_, err := client.Validate(ctx, &kmsv1.ValidateRequest{TenantId: "always"})
			return err
		},
		"VerifyAudit": func(ctx context.Context) error {
			_, err := client.VerifyAudit(ctx, &kmsv1.VerifyAuditRequest{})
			return err
		},
		"DisableKey": func(ctx context.Context) error {
			_, err := client.DisableKey(ctx, &kmsv1.DisableKeyRequest{TenantId: "always"})
			return err
		},
	} {
		expect(what, call(ctx), codes.Unavailable)
	}
	return nil
}
