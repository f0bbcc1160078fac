package verify

import (
	"encoding/binary"
	"math"
)

// wire is a cursor over protobuf wire bytes, strict where parsers differ: a tag or a length has at most
// five bytes, a varint fits its type, a bool is 0 or 1. Non-minimal varints are read: they change no value.
type wire struct {
	rest []byte
}

var errTruncated = refused("ends before its length says; send the whole message")

func (w *wire) more() bool { return len(w.rest) > 0 }

// varint returns the value and the number of bytes that it took.
func (w *wire) varint() (uint64, int, error) {
	var value uint64
	for i := 0; i < binary.MaxVarintLen64; i++ {
		if i >= len(w.rest) {
			return 0, 0, errTruncated
		}
		b := w.rest[i]
		if i == binary.MaxVarintLen64-1 && b > 1 {
			break
		}
		value |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			w.rest = w.rest[i+1:]
			return value, i + 1, nil
		}
	}
	return 0, 0, refused("a varint is longer than 64 bits")
}

// tag returns field number << 3 | wire type.
func (w *wire) tag() (uint64, error) {
	tag, length, err := w.varint()
	switch {
	case err != nil:
		return 0, err
	case length > 5 || tag > math.MaxUint32:
		return 0, refused("a field's tag is longer than 32 bits; encode the message again")
	case tag < 8:
		return 0, refused("field number 0 does not exist; encode the message again")
	}
	return tag, nil
}

// bytes returns a length-delimited field as a view.
func (w *wire) bytes() ([]byte, error) {
	size, length, err := w.varint()
	switch {
	case err != nil:
		return nil, err
	case length > 5 || size > math.MaxUint32:
		return nil, refused("a length is longer than 32 bits; encode the message again")
	}
	return w.take(size)
}

func (w *wire) take(size uint64) ([]byte, error) {
	if size > uint64(len(w.rest)) {
		return nil, errTruncated
	}
	taken := w.rest[:size:size]
	w.rest = w.rest[size:]
	return taken, nil
}

func (w *wire) uint32() (uint32, error) {
	value, _, err := w.varint()
	if err == nil && value > math.MaxUint32 {
		err = refused("does not fit into 32 bits")
	}
	return uint32(value), err
}

// enum reads one of the values 0 to last.
func (w *wire) enum(last uint64) (uint32, error) {
	value, _, err := w.varint()
	if err == nil && value > last {
		err = refused("is not one of the enum's numbers")
	}
	return uint32(value), err
}

func (w *wire) bool() (bool, error) {
	value, _, err := w.varint()
	if err == nil && value > 1 {
		err = refused("a bool is 0 or 1 on the wire")
	}
	return value == 1, err
}

func (w *wire) fixed64() (uint64, error) {
	taken, err := w.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(taken), nil
}

func (w *wire) skipFixed32() error {
	_, err := w.take(4)
	return err
}

// singular notes which fields of a message were seen: one that is there twice is read in two ways.
type singular uint32

func (s *singular) once(tag uint64) error {
	bit := singular(1) << (tag >> 3)
	if *s&bit != 0 {
		return refused("is there twice, and parsers differ on which counts; send it once")
	}
	*s |= bit
	return nil
}

// fields maps a message's tags to the names of its fields.
type fields map[uint64]string

// unexpected says why a message cannot take this tag: the field is unknown, or of another wire type.
func (f fields) unexpected(tag uint64) error {
	if wireType := tag & 7; wireType == 3 || wireType == 4 {
		return refused("groups are not part of OTLP; leave them out")
	}
	for known, name := range f {
		if known>>3 == tag>>3 {
			return within(refused("the wire type is not the field's own; encode it as the proto says"), name)
		}
	}
	return refused("an unknown field could not be signed; leave it out")
}
