package verify

import (
	"errors"
	"math"
	"slices"

	"github.com/fluo-dev/fluo-kms/clients/go/verify/internal/wire"
)

const (
	maxAttributes = 128
	// An attribute's own value is at level 1, what it holds at level 2.
	maxLevels = 32
	// A tag or a length of more bytes is read by some parsers, and refused by others.
	maxTagBytes = 5
)

// eachField calls read for every field of a message in turn, and names the field in its error. It is strict where
// parsers differ. Non-minimal varints are read: they change no value.
func (m *message) eachField(encoded []byte, read func(*field, content) error) error {
	seen := make([]int, len(m.fields))
	for len(encoded) > 0 {
		tag, n, err := wire.Varint(encoded)
		switch {
		case err != nil:
			return brokenOff(err)
		case n > maxTagBytes || tag > math.MaxUint32:
			return refused("a field's tag is longer than 32 bits; encode the message again")
		case tag < 8:
			return refused("field number 0 does not exist; encode the message again")
		}
		encoded = encoded[n:]
		number, wireType := wire.SplitTag(tag)
		at := slices.IndexFunc(m.fields, func(each *field) bool { return each.number == number })
		if at < 0 || m.fields[at].wireType != wireType {
			return m.unexpected(at, wireType)
		}
		found := m.fields[at]
		value, n, err := consume(encoded, wireType)
		if err == nil && seen[at] > 0 && !found.isRepeated {
			err = refused("is there twice, and parsers differ on which counts; send it once")
		}
		if err == nil {
			err = read(found, value)
		}
		if err != nil && found.isRepeated {
			err = withinIndex(err, seen[at])
		}
		if err != nil {
			return within(err, found.name)
		}
		encoded = encoded[n:]
		seen[at]++
	}
	return nil
}

func (m *message) unexpected(at int, wireType wire.Type) error {
	if wireType == wire.StartGroupType || wireType == wire.EndGroupType {
		return refused("groups are not part of OTLP; leave them out")
	}
	if at >= 0 {
		return within(refused("the wire type is not the field's own; encode it as the proto says"), m.fields[at].name)
	}
	return refused("an unknown field could not be signed; leave it out")
}

func consume(encoded []byte, wireType wire.Type) (value content, n int, err error) {
	switch wireType {
	case wire.VarintType:
		value.number, n, err = wire.Varint(encoded)
	case wire.Fixed64Type:
		value.number, n, err = wire.Fixed64(encoded)
	case wire.Fixed32Type:
		value.number, n, err = wire.Fixed32(encoded)
	default:
		size, length, tooLong := wire.Varint(encoded)
		if tooLong == nil && (length > maxTagBytes || size > math.MaxUint32) {
			return value, 0, refused("a length is longer than 32 bits; encode the message again")
		}
		value.bytes, n, err = wire.Bytes(encoded)
	}
	if err != nil {
		return value, 0, brokenOff(err)
	}
	return value, n, nil
}

func brokenOff(err error) error {
	if errors.Is(err, wire.ErrTruncated) {
		return refused("ends before its length says; send the whole message")
	}
	return refused("a varint is longer than 64 bits")
}

// covered is what of a message is in the canonical form.
type covered struct {
	of *message
	// texts has the canonical form of each field, nil where it is at its default; of a list without brackets.
	texts [][]byte
}

// readMessage reads a message with all that is in it. Where it may have a signature, its attributes go to evidence.
func readMessage(encoded []byte, of *message, evidence integrity) (found covered, err error) {
	found = covered{of, make([][]byte, len(of.fields))}
	attributes := newEntries()
	err = of.eachField(encoded, func(each *field, value content) error {
		if each.message == keyValueMessage {
			return attributes.readAttribute(value.bytes, evidence)
		}
		text, err := each.read(value, 0)
		switch {
		case err != nil || each.isLeftOut:
		case each.isRepeated:
			if found.texts[each.at] != nil {
				text = append(append(found.texts[each.at], ','), text...)
			}
			found.texts[each.at] = text
		case value.number != 0 || len(value.bytes) > 0 && string(text) != "{}":
			found.texts[each.at] = text
		}
		return err
	})
	if len(attributes.keys) > 0 {
		found.texts[of.byName["attributes"].at] = attributes.close()
	}
	return found, err
}

// get returns the canonical form of a field.
func (c covered) get(name string) []byte { return c.texts[c.of.byName[name].at] }

// text returns the canonical form of the message, {} where each field is at its default.
func (c covered) text() []byte {
	out := []byte{'{'}
	for i, text := range c.texts {
		if text == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(appendString(out, c.of.fields[i].jsonName), ':')
		if c.of.fields[i].isRepeated && c.of.fields[i].message != keyValueMessage {
			text = append(append([]byte{'['}, text...), ']')
		}
		out = append(out, text...)
	}
	return append(out, '}')
}

// entries is a list of attributes, or a map: an object of typed values. Every key is there once.
type entries struct {
	list []keyValue
	keys map[string]bool
}

func newEntries() entries { return entries{keys: map[string]bool{}} }

func (e *entries) add(entry keyValue) error {
	if e.keys[entry.key] {
		return within(refused("another entry of this list has the same key; keep one"), "key")
	}
	e.keys[entry.key] = true
	e.list = append(e.list, entry)
	return nil
}

// readAttribute reads an attribute into a list of at most 128. Those of a signature are taken out: they do not count.
func (e *entries) readAttribute(encoded []byte, evidence integrity) error {
	entry, err := readKeyValue(encoded, 1)
	if err == nil && evidence != nil {
		isTaken, err := evidence.take(entry)
		if isTaken || err != nil {
			return err
		}
	}
	if err == nil && len(e.keys) == maxAttributes {
		err = refused("a list has at most 128 attributes; leave some out")
	}
	if err == nil {
		err = e.add(entry)
	}
	return err
}

func (e *entries) close() []byte {
	slices.SortFunc(e.list, func(a, b keyValue) int { return compareUTF16(a.key, b.key) })
	out := []byte{'{'}
	for i, entry := range e.list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, entry.key), ':')
		out = append(out, entry.value...)
	}
	return append(out, '}')
}

// compareUTF16 compares UTF-8 by UTF-16 code units, as RFC 8785 does. The order of code points differs from it only
// where one text has a code point above U+FFFF, a surrogate in UTF-16, and the other one from U+E000 to U+FFFF.
func compareUTF16(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		if a[i] >= 0xee && b[i] >= 0xee && (a[i] >= 0xf0) != (b[i] >= 0xf0) {
			return int(b[i]) - int(a[i])
		}
		return int(a[i]) - int(b[i])
	}
	return len(a) - len(b)
}

// keyValue is an attribute or an entry of a map.
type keyValue struct {
	key string
	// value is canonical: null where there is no value.
	value []byte
	// text is the value where that is a string.
	text *string
}

func readKeyValue(encoded []byte, level int) (entry keyValue, err error) {
	entry.value = []byte("null")
	err = keyValueMessage.eachField(encoded, func(each *field, value content) (err error) {
		if each.name == "key" {
			entry.key = string(value.bytes)
			return checkUTF8(entry.key)
		}
		entry.value, entry.text, err = readAnyValue(value.bytes, level)
		return err
	})
	return entry, err
}

// readAnyValue returns the value, and as a string where it is one. Nothing is left out for being at its default.
func readAnyValue(encoded []byte, level int) (value []byte, text *string, err error) {
	if level > maxLevels {
		return nil, nil, refused("is nested deeper than 32 levels; flatten it")
	}
	err = anyValueMessage.eachField(encoded, func(each *field, from content) error {
		if value != nil {
			return refused("the value has a second member; it is one of them")
		}
		inner, err := each.read(from, level)
		value = append(append(appendString([]byte{'{'}, each.jsonName), ':'), inner...)
		value = append(value, '}')
		if each.name == "string_value" {
			text = new(string(from.bytes))
		}
		return err
	})
	if value == nil {
		value = []byte("null")
	}
	return value, text, err
}

func readArray(from content, level int) ([]byte, error) {
	out := []byte{'['}
	err := arrayValueMessage.eachField(from.bytes, func(_ *field, value content) error {
		item, _, err := readAnyValue(value.bytes, level+1)
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, item...)
		return err
	})
	return append(out, ']'), err
}

func readMap(from content, level int) ([]byte, error) {
	found := newEntries()
	err := mapValueMessage.eachField(from.bytes, func(_ *field, value content) error {
		entry, err := readKeyValue(value.bytes, level+1)
		if err != nil {
			return err
		}
		return found.add(entry)
	})
	return found.close(), err
}
