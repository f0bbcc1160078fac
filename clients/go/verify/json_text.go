package verify

import (
	"encoding/hex"
	"math"
	"strconv"
	"unicode/utf8"
)

// object is the text of a JSON object while its members are written, in any order: RFC 8785's is made
// of it at the end.
type object []byte

func newObject() object { return object{'{'} }

func (o object) empty() bool { return len(o) == 1 }

// member begins a member; its value follows.
func (o object) member(name string) object {
	if !o.empty() {
		o = append(o, ',')
	}
	return append(appendString(o, name), ':')
}

func (o object) raw(name string, value []byte) object { return append(o.member(name), value...) }

// The methods below leave out what is at its default.

func (o object) text(name string, value []byte) object {
	if len(value) == 0 {
		return o
	}
	return appendString(o.member(name), string(value))
}

func (o object) id(name string, value []byte) object {
	if value == nil {
		return o
	}
	o = append(o.member(name), '"')
	o = hex.AppendEncode(o, value)
	return append(o, '"')
}

func (o object) uint32(name string, value uint32) object {
	if value == 0 {
		return o
	}
	return strconv.AppendUint(o.member(name), uint64(value), 10)
}

// fixed64 is written as text, because a double does not hold every one.
func (o object) fixed64(name string, value uint64) object {
	if value == 0 {
		return o
	}
	o = append(o.member(name), '"')
	o = strconv.AppendUint(o, value, 10)
	return append(o, '"')
}

func (o object) list(name string, items [][]byte) object {
	if len(items) == 0 {
		return o
	}
	return append(appendList(o.member(name), items), "]"...)
}

func (o object) close() []byte { return append(o, '}') }

// appendList leaves the list open.
func appendList(out []byte, items [][]byte) []byte {
	out = append(out, '[')
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return out
}

// appendString writes a string that is UTF-8 as JSON.stringify does.
func appendString(out []byte, text string) []byte {
	const digits = "0123456789abcdef"
	out = append(out, '"')
	for i := range len(text) {
		switch b := text[i]; {
		case b == '"' || b == '\\':
			out = append(out, '\\', b)
		case b >= 0x20:
			out = append(out, b)
		case b == '\b':
			out = append(out, `\b`...)
		case b == '\f':
			out = append(out, `\f`...)
		case b == '\n':
			out = append(out, `\n`...)
		case b == '\r':
			out = append(out, `\r`...)
		case b == '\t':
			out = append(out, `\t`...)
		default:
			out = append(out, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		}
	}
	return append(out, '"')
}

// appendDouble writes what JSON has no number for as a string, as protobuf's JSON mapping does.
func appendDouble(out []byte, value float64) []byte {
	switch {
	case math.IsNaN(value):
		return append(out, `"NaN"`...)
	case math.IsInf(value, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(value, -1):
		return append(out, `"-Infinity"`...)
	}
	return strconv.AppendFloat(out, value, 'e', -1, 64)
}

func checkUTF8(text []byte) error {
	if !utf8.Valid(text) {
		return refused("is not valid UTF-8; encode the text as UTF-8, or send it as bytes")
	}
	return nil
}
