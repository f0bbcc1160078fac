package verify

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"regexp"
	"time"
)

// members reads the typed members of an object. It keeps the first error, which names the member that is wrong, and
// reads zero values from then on.
type members struct {
	*jsonObject
	// at is where the object is, empty for the whole.
	at  string
	err error
}

func (m *members) place(name string) string { return joined(m.at, name) }

func (m *members) refuse(name, why string) {
	if m.err == nil {
		m.err = errors.New(m.place(name) + " " + why)
	}
}

// has says whether there is such a member, null or not.
func (m *members) has(name string) bool {
	if m.jsonObject == nil {
		return false
	}
	_, ok := m.values[name]
	return ok
}

// get returns nil for a member that is null, or not there, or of no object.
func (m *members) get(name string) any {
	if m.jsonObject == nil {
		return nil
	}
	return m.values[name]
}

func (m *members) text(name string) string {
	text, ok := m.get(name).(string)
	if !ok {
		m.refuse(name, "must be text")
	}
	return text
}

func (m *members) base64(name string) []byte {
	decoded, ok := canonicalBase64(m.text(name))
	if !ok {
		m.refuse(name, "must be base64")
	}
	return decoded
}

func (m *members) index(name string) int64 {
	text, _ := m.get(name).(jsonNumber)
	number, ok := nearestDouble(string(text))
	if !ok || number != math.Trunc(number) || number < 0 || number > maxIndex {
		m.refuse(name, "must be a whole number, not below 0")
		return 0
	}
	return int64(number)
}

// pastMilliseconds finds the digits behind the milliseconds of a time, which are cut off.
var pastMilliseconds = regexp.MustCompile(`^(.*\.[0-9]{3})[0-9]{1,6}([^0-9].*)?$`)

// date returns nil for null, or no value.
func (m *members) date(name string) *time.Time {
	if m.get(name) == nil {
		return nil
	}
	text, _ := m.get(name).(string)
	canonical, ok := canonicalSignedAt(pastMilliseconds.ReplaceAllString(text, "$1$2"))
	if !ok {
		m.refuse(name, "must be a date of RFC 3339 in UTC, or null")
	}
	date, _ := signedAtTime(canonical)
	return &date
}

// head returns the head of a log that the members are.
func (m *members) head() *checkpoint {
	root := m.base64("root")
	if len(root) != sha256.Size {
		m.refuse("root", "must be 32 bytes")
		return nil
	}
	return &checkpoint{origin: m.text("origin"), size: m.index("size"), root: [sha256.Size]byte(root)}
}

// list returns an empty list for null, or no value.
func (m *members) list(name string) []any {
	list, ok := m.get(name).([]any)
	if !ok && m.get(name) != nil {
		m.refuse(name, "must be a list")
	}
	return list
}

// each calls read with each object of a list.
func (m *members) each(name string, read func(*members) error) error {
	for i, item := range m.list(name) {
		if err := readObject(item, fmt.Sprintf("%s[%d]", m.place(name), i), read); err != nil {
			return err
		}
	}
	return m.err
}

func (m *members) object(name string, read func(*members) error) error {
	return readObject(m.get(name), m.place(name), read)
}

func readObject(value any, at string, read func(*members) error) error {
	object, ok := value.(*jsonObject)
	if !ok {
		return errors.New(at + " must be an object")
	}
	return read(&members{jsonObject: object, at: at})
}
