package verify

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
)

const (
	maxAttributes = 128
	// An attribute's own value is at level 1, what it holds at level 2.
	maxLevels = 32
)

var (
	keyValueFields = fields{10: "key", 18: "value"}
	anyValueFields = fields{10: "string_value", 16: "bool_value", 24: "int_value", 33: "double_value", 42: "array_value",
		50: "kvlist_value", 58: "bytes_value"}
	valuesFields = fields{10: "values"}
)

// members is a list of attributes, or a map: an object of typed values. Every key is there once.
type members struct {
	entries []keyValue
	keys    map[string]bool
}

func newMembers() members { return members{keys: map[string]bool{}} }

func (m *members) add(entry keyValue) error {
	if m.keys[entry.key] {
		return within(refused("another entry of this list has the same key; keep one"), "key")
	}
	m.keys[entry.key] = true
	m.entries = append(m.entries, entry)
	return nil
}

// addAttribute adds to a list of at most 128.
func (m *members) addAttribute(entry keyValue) error {
	if len(m.keys) == maxAttributes {
		return refused("a list has at most 128 attributes; leave some out")
	}
	return m.add(entry)
}

// readAttribute reads an attribute into a list of at most 128.
func (m *members) readAttribute(w *wire) error {
	index := len(m.keys)
	entry, err := readAttribute(w)
	if err == nil {
		err = m.addAttribute(entry)
	}
	return withinIndex(err, index)
}

// into writes the list as the member attributes of its message, unless it is empty.
func (m *members) into(message object) object {
	if len(m.keys) == 0 {
		return message
	}
	return message.raw("attributes", m.close())
}

// close returns the object. Its members are in the reverse of RFC 8785's order: the library that sorts them inserts
// each into a list from the front, so that a map of many entries in another order would take it minutes.
func (m *members) close() []byte {
	slices.SortFunc(m.entries, func(a, b keyValue) int { return compareUTF16(b.key, a.key) })
	out := newObject()
	for _, entry := range m.entries {
		out = out.raw(entry.key, entry.value)
	}
	return out.close()
}

// compareUTF16 compares UTF-8 by UTF-16 code units. By code points that differs only where one text has a code point
// above U+FFFF, in UTF-16 a surrogate of U+D800 to U+DFFF, and the other one from U+E000 to U+FFFF.
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
	// value is JSON text: null where there is no value.
	value []byte
	// text is the value where that is a string.
	text *string
}

func readAttribute(w *wire) (keyValue, error) {
	content, err := w.bytes()
	if err != nil {
		return keyValue{}, err
	}
	return readKeyValue(content, 1)
}

func readKeyValue(message []byte, level int) (entry keyValue, err error) {
	entry.value = []byte("null")
	w := wire{message}
	var seen singular
	for w.more() {
		tag, err := w.tag()
		if err != nil {
			return entry, err
		}
		name, known := keyValueFields[tag]
		if !known {
			return entry, keyValueFields.unexpected(tag)
		}
		content, err := w.bytes()
		if err == nil {
			err = seen.once(tag)
		}
		if err == nil && tag == 10 {
			entry.key = string(content)
			err = checkUTF8(content)
		} else if err == nil {
			entry.value, entry.text, err = readAnyValue(content, level)
		}
		if err != nil {
			return entry, within(err, name)
		}
	}
	return entry, nil
}

// readAnyValue returns the value as JSON text, and as a string where it is one. Nothing is left out for
// being at its default.
func readAnyValue(message []byte, level int) (value []byte, text *string, err error) {
	if level > maxLevels {
		return nil, nil, refused("is nested deeper than 32 levels; flatten it")
	}
	w := wire{message}
	for w.more() {
		tag, err := w.tag()
		if err != nil {
			return nil, nil, err
		}
		name, known := anyValueFields[tag]
		if !known {
			return nil, nil, anyValueFields.unexpected(tag)
		}
		if value != nil {
			return nil, nil, within(refused("the value has a second member; it is one of them"), name)
		}
		if value, text, err = readMember(&w, tag, level); err != nil {
			return nil, nil, within(err, name)
		}
	}
	if value == nil {
		value = []byte("null")
	}
	return value, text, nil
}

func readMember(w *wire, tag uint64, level int) (value []byte, text *string, err error) {
	switch tag {
	case 16:
		truth, err := w.bool()
		return object(strconv.AppendBool(newObject().member("boolValue"), truth)).close(), nil, err
	case 24:
		integer, _, err := w.varint()
		value = append(newObject().member("intValue"), '"')
		value = append(strconv.AppendInt(value, int64(integer), 10), `"}`...)
		return value, nil, err
	case 33:
		bits, err := w.fixed64()
		return object(appendDouble(newObject().member("doubleValue"), math.Float64frombits(bits))).close(), nil, err
	}
	content, err := w.bytes()
	if err != nil {
		return nil, nil, err
	}
	switch tag {
	case 10:
		read := string(content)
		return object(appendString(newObject().member("stringValue"), read)).close(), &read, checkUTF8(content)
	case 42:
		items, err := readArray(content, level)
		return append(appendList(newObject().member("arrayValue"), items), "]}"...), nil, err
	case 50:
		entries, err := readMap(content, level)
		return newObject().raw("kvlistValue", entries).close(), nil, err
	default:
		value = append(newObject().member("bytesValue"), '"')
		return append(base64.StdEncoding.AppendEncode(value, content), `"}`...), nil, nil
	}
}

func readArray(message []byte, level int) (items [][]byte, err error) {
	err = eachOfValues(message, func(content []byte) error {
		item, _, err := readAnyValue(content, level+1)
		items = append(items, item)
		return err
	})
	return items, err
}

func readMap(message []byte, level int) ([]byte, error) {
	entries := newMembers()
	err := eachOfValues(message, func(content []byte) error {
		entry, err := readKeyValue(content, level+1)
		if err != nil {
			return err
		}
		return entries.add(entry)
	})
	return entries.close(), err
}

// eachOfValues calls read with each element of a message that holds field 1 alone, repeated.
func eachOfValues(message []byte, read func([]byte) error) error {
	w := wire{message}
	for index := 0; w.more(); index++ {
		tag, err := w.tag()
		if err != nil {
			return err
		}
		if tag != 10 {
			return valuesFields.unexpected(tag)
		}
		content, err := w.bytes()
		if err == nil {
			err = read(content)
		}
		if err != nil {
			return within(withinIndex(err, index), "values")
		}
	}
	return nil
}
