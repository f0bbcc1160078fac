package kms

import (
	"context"
	"errors"
	"iter"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// The most that a page may hold.
const maxPageSize = 1000

// Keys iterates over the keys that ListKeys lists, page by page; PageSize bounds each, PageToken is where to
// begin. It ends with the first error. Breaking out of the loop asks for no further page.
//
//	for key, err := range client.Keys(ctx, &kmsv1.ListKeysRequest{TenantId: "acme"}) {
func (c *Client) Keys(ctx context.Context, request *kmsv1.ListKeysRequest, options ...grpc.CallOption) iter.Seq2[*kmsv1.Key, error] {
	return pages(request.GetPageToken(), func(token string) ([]*kmsv1.Key, string, error) {
		next := proto.CloneOf(request)
		next.PageToken = token
		answer, err := c.ListKeys(ctx, next, options...)
		return answer.GetKeys(), answer.GetNextPageToken(), err
	})
}

// AuditEvents iterates over the events that ListAuditEvents lists, oldest first, as [Client.Keys] does.
func (c *Client) AuditEvents(ctx context.Context, request *kmsv1.ListAuditEventsRequest, options ...grpc.CallOption) iter.Seq2[*kmsv1.AuditEvent, error] {
	return pages(request.GetPageToken(), func(token string) ([]*kmsv1.AuditEvent, string, error) {
		next := proto.CloneOf(request)
		next.PageToken = token
		answer, err := c.ListAuditEvents(ctx, next, options...)
		return answer.GetEvents(), answer.GetNextPageToken(), err
	})
}

// PublicKeys iterates over a tenant's public signing keys, newest first, as [Client.Keys] does. A page has 1,000
// keys unless PageSize says less; KeyIds asks for those alone, in one page. For a key set to verify by, take
// jwks.json, which has the handovers of logs too.
func (c *Client) PublicKeys(ctx context.Context, request *kmsv1.GetPublicKeysRequest, options ...grpc.CallOption) iter.Seq2[*kmsv1.PublicKey, error] {
	return pages(request.GetPageToken(), func(token string) ([]*kmsv1.PublicKey, string, error) {
		next := proto.CloneOf(request)
		next.PageToken = token
		if next.GetPageSize() == 0 && len(next.GetKeyIds()) == 0 {
			next.PageSize = maxPageSize
		}
		answer, err := c.GetPublicKeys(ctx, next, options...)
		return answer.GetKeys(), answer.GetNextPageToken(), err
	})
}

func pages[T any](token string, page func(token string) (items []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token := token; ; {
			items, next, err := page(token)
			if err == nil && next != "" && next == token {
				err = errors.New("kms: the service gave the same page again")
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}
