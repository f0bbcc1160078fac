package kms

import (
	"context"

	"google.golang.org/grpc/stats"
)

// quietable passes over calls that must not be instrumented.
type quietable struct{ stats.Handler }

type quietKey struct{}

// quiet marks the calls of a context as ones that must not be instrumented.
func quiet(ctx context.Context) context.Context { return context.WithValue(ctx, quietKey{}, true) }

func isQuiet(ctx context.Context) bool { return ctx.Value(quietKey{}) != nil }

func (q quietable) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	if isQuiet(ctx) {
		return ctx
	}
	return q.Handler.TagRPC(ctx, info)
}

func (q quietable) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if !isQuiet(ctx) {
		q.Handler.HandleRPC(ctx, event)
	}
}
