// Package wire reads and writes the elements of protobuf's wire format, without protobuf's runtime: whoever verifies
// needs neither it nor gRPC.
package wire

import (
	"encoding/binary"
	"errors"
)

// Number is the number of a field.
type Number uint32

// Type is the wire type of a field.
type Type uint8

// The wire types.
const (
	VarintType     Type = 0
	Fixed64Type    Type = 1
	BytesType      Type = 2
	StartGroupType Type = 3
	EndGroupType   Type = 4
	Fixed32Type    Type = 5
)

var (
	// ErrTruncated says that the bytes end within an element.
	ErrTruncated = errors.New("the bytes end too early")
	// ErrOverflow says that a varint is longer than 64 bits.
	ErrOverflow = errors.New("a varint is longer than 64 bits")
)

// AppendTag appends the tag of a field.
func AppendTag(out []byte, number Number, of Type) []byte {
	return AppendVarint(out, uint64(number)<<3|uint64(of))
}

// SplitTag returns what a tag of at most 32 bits says.
func SplitTag(tag uint64) (Number, Type) { return Number(tag >> 3), Type(tag & 7) }

// AppendVarint appends a number in its shortest form.
func AppendVarint(out []byte, number uint64) []byte { return binary.AppendUvarint(out, number) }

// AppendFixed32 appends 4 bytes, little-endian.
func AppendFixed32(out []byte, number uint32) []byte {
	return binary.LittleEndian.AppendUint32(out, number)
}

// AppendFixed64 appends 8 bytes, little-endian.
func AppendFixed64(out []byte, number uint64) []byte {
	return binary.LittleEndian.AppendUint64(out, number)
}

// AppendBytes appends bytes or text behind their length.
func AppendBytes[T []byte | string](out []byte, content T) []byte {
	return append(AppendVarint(out, uint64(len(content))), content...)
}

// Varint reads a number, and returns how many bytes it has. It may be longer than it needs to be.
func Varint(from []byte) (number uint64, n int, err error) {
	number, n = binary.Uvarint(from)
	switch {
	case n == 0:
		return 0, 0, ErrTruncated
	case n < 0:
		return 0, 0, ErrOverflow
	}
	return number, n, nil
}

// Fixed32 reads 4 bytes, little-endian.
func Fixed32(from []byte) (number uint64, n int, err error) {
	if len(from) < 4 {
		return 0, 0, ErrTruncated
	}
	return uint64(binary.LittleEndian.Uint32(from)), 4, nil
}

// Fixed64 reads 8 bytes, little-endian.
func Fixed64(from []byte) (number uint64, n int, err error) {
	if len(from) < 8 {
		return 0, 0, ErrTruncated
	}
	return binary.LittleEndian.Uint64(from), 8, nil
}

// Bytes reads bytes behind their length, and returns how many bytes both have. The content is part of from.
func Bytes(from []byte) (content []byte, n int, err error) {
	length, n, err := Varint(from)
	switch {
	case err != nil:
		return nil, 0, err
	case length > uint64(len(from)-n):
		return nil, 0, ErrTruncated
	}
	end := n + int(length)
	return from[n:end], end, nil
}
