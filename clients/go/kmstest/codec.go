package kmstest

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

const maxMessageBytes = 4 << 20

// rawMessage is a request as it was sent.
type rawMessage []byte

// codec is gRPC's own, but for a rawMessage.
type codec struct{}

func (codec) Name() string { return proto.Name }

func (codec) Marshal(message any) (mem.BufferSlice, error) {
	return encoding.GetCodecV2(proto.Name).Marshal(message)
}

func (codec) Unmarshal(data mem.BufferSlice, message any) error {
	switch into := message.(type) {
	case *rawMessage:
		*into = data.Materialize()
		return nil
	default:
		if err := encoding.GetCodecV2(proto.Name).Unmarshal(data, message); err != nil {
			return fmt.Errorf("kmstest: %w", err)
		}
		return nil
	}
}
