package verify

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fluo-dev/fluo-kms/clients/go/verify/internal/wire"
	"github.com/gowebpki/jcs"
)

var (
	textKind = kind{wireType: wire.BytesType,
		encode: func(out []byte, value any, _ int) ([]byte, error) {
			text, ok := value.(string)
			if !ok {
				return nil, refused("must be a string")
			}
			return wire.AppendBytes(out, text), checkUTF8(text)
		},
		read: func(from content, _ int) ([]byte, error) {
			text := string(from.bytes)
			return appendString(nil, text), checkUTF8(text)
		},
	}
	boolKind = kind{wireType: wire.VarintType,
		encode: func(out []byte, value any, _ int) ([]byte, error) {
			truth, ok := value.(bool)
			if !ok {
				return nil, refused("must be true or false")
			}
			if truth {
				return append(out, 1), nil
			}
			return append(out, 0), nil
		},
		read: func(from content, _ int) ([]byte, error) {
			if from.number > 1 {
				return nil, refused("a bool is 0 or 1 on the wire")
			}
			return strconv.AppendBool(nil, from.number == 1), nil
		},
	}
	int64Kind = kind{wireType: wire.VarintType,
		encode: func(out []byte, value any, _ int) ([]byte, error) {
			number, ok := signed(value, 64)
			if !ok {
				return nil, refused("must be an integer of 64 bits")
			}
			return wire.AppendVarint(out, uint64(number)), nil
		},
		read: func(from content, _ int) ([]byte, error) {
			return quoted(strconv.AppendInt(nil, int64(from.number), 10)), nil
		},
	}
	uint32Kind = unsignedKind(wire.VarintType, math.MaxUint32, wire.AppendVarint, func(from content, _ int) ([]byte, error) {
		if from.number > math.MaxUint32 {
			return nil, refused("does not fit into 32 bits")
		}
		return strconv.AppendUint(nil, from.number, 10), nil
	})
	fixed32Kind = unsignedKind(wire.Fixed32Type, math.MaxUint32, func(out []byte, number uint64) []byte {
		return wire.AppendFixed32(out, uint32(number))
	}, uint32Kind.read)
	// fixed64Kind is written as text, because a double does not hold every one.
	fixed64Kind = unsignedKind(wire.Fixed64Type, math.MaxUint64, wire.AppendFixed64, func(from content, _ int) ([]byte, error) {
		return quoted(strconv.AppendUint(nil, from.number, 10)), nil
	})
	doubleKind = kind{wireType: wire.Fixed64Type,
		encode: func(out []byte, value any, _ int) ([]byte, error) {
			number, ok := double(value)
			if !ok {
				return nil, refused("must be a number")
			}
			return wire.AppendFixed64(out, math.Float64bits(number)), nil
		},
		read: func(from content, _ int) ([]byte, error) {
			number := math.Float64frombits(from.number)
			for name, is := range notNumbers {
				if is(number) {
					return quoted([]byte(name)), nil
				}
			}
			text, err := jcs.NumberToJSON(number)
			return []byte(text), err
		},
	}
	// bytesKind takes base64 of either alphabet, padded or not, as protobuf's parsers do.
	bytesKind = kind{wireType: wire.BytesType,
		encode: func(out []byte, value any, _ int) ([]byte, error) {
			text, isText := value.(string)
			decoded, ok := jsonBase64(text)
			if !isText || !ok {
				return nil, refused("must be bytes in base64")
			}
			return wire.AppendBytes(out, decoded), nil
		},
		read: func(from content, _ int) ([]byte, error) {
			return quoted(base64.StdEncoding.AppendEncode(nil, from.bytes)), nil
		},
	}
)

func unsignedKind(wireType wire.Type, most uint64, appendTo func([]byte, uint64) []byte, read func(content, int) ([]byte, error)) kind {
	return kind{wireType: wireType, read: read,
		encode: func(out []byte, value any, _ int) ([]byte, error) {
			number, ok := unsigned(value, most)
			if !ok {
				return nil, refused("must be a whole number, not below 0, of as many bits as the field has")
			}
			return appendTo(out, number), nil
		},
	}
}

// idKind takes the id in hex, as OTLP writes it, or in base64, as protobuf's own printers do: they differ in length.
func idKind(length int) kind {
	return kind{wireType: wire.BytesType,
		encode: func(out []byte, value any, _ int) ([]byte, error) {
			text, isText := value.(string)
			decoded, ok := jsonBase64(text)
			if len(text) == 2*length {
				var err error
				decoded, err = hex.DecodeString(text)
				ok = err == nil
			}
			if !isText || !ok || len(decoded) != length && text != "" {
				return nil, refused("must be " + strconv.Itoa(length) + " bytes, in hex or base64")
			}
			return wire.AppendBytes(out, decoded), nil
		},
		read: func(from content, _ int) ([]byte, error) {
			if len(from.bytes) > 0 && len(from.bytes) != length {
				return nil, refused("is not " + strconv.Itoa(length) + " bytes long; give the id as its bytes")
			}
			if bytes.Count(from.bytes, []byte{0}) == len(from.bytes) {
				return nil, nil
			}
			return quoted(hex.AppendEncode(nil, from.bytes)), nil
		},
	}
}

// enumKind takes the values by number and by name. A number that there is none of is left to the reader of the bytes.
func enumKind(prefix string, names ...string) kind {
	return kind{wireType: wire.VarintType,
		encode: func(out []byte, value any, _ int) ([]byte, error) {
			if name, ok := value.(string); ok {
				at := slices.IndexFunc(names, func(known string) bool { return name == prefix+known })
				if at < 0 {
					return nil, refused("is not a name of the enum's values")
				}
				return wire.AppendVarint(out, uint64(at)), nil
			}
			number, ok := signed(value, 32)
			if !ok {
				return nil, refused("must be a value of the enum")
			}
			return wire.AppendVarint(out, uint64(number)), nil
		},
		read: func(from content, _ int) ([]byte, error) {
			if from.number >= uint64(len(names)) {
				return nil, refused("is not one of the enum's numbers")
			}
			return strconv.AppendUint(nil, from.number, 10), nil
		},
	}
}

func messageKind(of *message) kind {
	return kind{wireType: wire.BytesType, message: of,
		encode: func(out []byte, value any, depth int) ([]byte, error) {
			encoded, err := of.encode(value, depth+1)
			return wire.AppendBytes(out, encoded), err
		},
		read: func(from content, _ int) ([]byte, error) {
			found, err := readMessage(from.bytes, of, nil)
			return found.text(), err
		},
	}
}

// notNumbers are the doubles that JSON has no number for, as protobuf's JSON mapping names them.
var notNumbers = map[string]func(float64) bool{
	"NaN":       math.IsNaN,
	"Infinity":  func(number float64) bool { return math.IsInf(number, 1) },
	"-Infinity": func(number float64) bool { return math.IsInf(number, -1) },
}

func double(value any) (float64, bool) {
	switch value {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	token, ok := tokenOf(value)
	if !ok {
		return 0, false
	}
	return nearestDouble(token)
}

func quoted(text []byte) []byte { return append(append([]byte{'"'}, text...), '"') }

// appendString writes a string that is UTF-8 as JSON.stringify does, and RFC 8785.
func appendString(out []byte, text string) []byte {
	const escaped, letters, digits = "\"\\\b\f\n\r\t", `"\bfnrt`, "0123456789abcdef"
	out = append(out, '"')
	for i := range len(text) {
		b := text[i]
		if b >= 0x20 && b != '"' && b != '\\' {
			out = append(out, b)
		} else if at := strings.IndexByte(escaped, b); at >= 0 {
			out = append(out, '\\', letters[at])
		} else {
			out = append(out, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		}
	}
	return append(out, '"')
}

func checkUTF8(text string) error {
	if !utf8.ValidString(text) {
		return refused("is not valid UTF-8; encode the text as UTF-8, or send it as bytes")
	}
	return nil
}
