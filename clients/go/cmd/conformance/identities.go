package main

import (
	"context"
	"errors"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func identities(found *results, given world) error {
	if len(given.Tokens) != 3 {
		return errors.New("there must be three tokens")
	}
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	first, second, bad := given.Tokens[0], given.Tokens[1], given.Tokens[2]
	// calls returns the code of each of so many calls on one client.
	calls := func(count int, target string, options ...kms.Option) (seen []codes.Code) {
		client, err := kms.Dial(target, options...)
		if err != nil {
			found.check(false, "a client", err)
			return nil
		}
		defer client.Close()
		for range count {
			_, err := client.GenerateDataKey(ctx, &kmsv1.GenerateDataKeyRequest{TenantId: given.Tenant})
			seen = append(seen, status.Code(err))
		}
		return seen
	}
	inTurn := func(tokens ...string) kms.Option {
		at := 0
		return kms.WithToken(func(context.Context) (string, error) {
			at++
			return tokens[(at-1)%len(tokens)], nil
		})
	}
	expect := func(what string, got []codes.Code, want ...codes.Code) {
		isSame := len(got) == len(want)
		for i := range got {
			isSame = isSame && got[i] == want[i]
		}
		found.check(isSame, what, got)
	}
	tls, ca := given.TLS, kms.WithCAFile(given.TLS.CA)
	expect("a certificate", calls(1, tls.Service, ca, kms.WithClientCertificate(tls.Certificate, tls.Key)), codes.OK)
	expect("a token for each call", calls(3, tls.Service, ca, inTurn(first, bad, second)), codes.OK, codes.Unauthenticated, codes.OK)
	expect("no credential", calls(1, tls.Service, ca), codes.Unauthenticated)
	expect("a bad token", calls(1, tls.Service, ca, inTurn(bad)), codes.Unauthenticated)
	expect("another authority", calls(1, tls.Service, kms.WithCAFile(tls.OtherCA), kms.WithClientCertificate(tls.Certificate, tls.Key)), codes.Unavailable)

	asked := false
	_, err := kms.Dial("192.0.2.1:9000", kms.WithInsecure(), kms.WithToken(func(context.Context) (string, error) {
		asked = true
		return first, nil
	}))
	found.check(err != nil && !asked, "a token over the network in the clear is refused", err)
	client, err := kms.Dial("127.0.0.1:9000", kms.WithInsecure(), inTurn(first))
	found.check(err == nil, "a token to a loopback address", err)
	if err == nil {
		_ = client.Close()
	}
	if given.Service != "" {
		expect("a token to a loopback address is sent", calls(1, given.Service, kms.WithInsecure(), inTurn(first)), codes.OK)
	}
	return nil
}
