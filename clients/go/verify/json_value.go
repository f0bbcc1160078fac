package verify

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A JSON value is nil, a bool, a string, a jsonNumber, a []any or a *jsonObject. The parser is RFC 8259's,
// and strict where encoding/json is not: members that are there twice are found, and half a surrogate pair
// stays distinct, as bytes that are no UTF-8.
type (
	jsonNumber string
	jsonObject struct {
		names  []string
		values map[string]any
	}
)

const (
	// More than protobuf's JSON nests in the hundred messages that its readers allow.
	maxJSONLevels = 512
	// Keeps the parser's own stack small.
	maxParsedLevels = 10_000
)

var errNotJSON = errors.New("not JSON")

// parseJSON returns the value of a whole text. flaw says why the text, which is JSON, is not read all the same:
// a member is there twice, or it is nested too deeply.
func parseJSON(text string) (value any, flaw error, err error) {
	p := jsonParser{text: text}
	value, err = p.value(0)
	if err == nil {
		p.skipSpace()
		if p.at != len(text) {
			err = errNotJSON
		}
	}
	return value, p.flaw, err
}

type jsonParser struct {
	text string
	at   int
	flaw error
}

func (p *jsonParser) value(level int) (any, error) {
	if level > maxJSONLevels && p.flaw == nil {
		p.flaw = refused("the JSON is nested too deeply")
	}
	if level > maxParsedLevels {
		return nil, errNotJSON
	}
	p.skipSpace()
	switch next := p.peek(); {
	case next == '{':
		return p.object(level)
	case next == '[':
		return p.list(level)
	case next == '"':
		return p.string()
	case next == '-' || isDigit(next):
		return p.number()
	case p.skip("true"):
		return true, nil
	case p.skip("false"):
		return false, nil
	case p.skip("null"):
		return nil, nil
	}
	return nil, errNotJSON
}

func (p *jsonParser) object(level int) (any, error) {
	object := &jsonObject{values: map[string]any{}}
	err := p.items('}', func() error {
		if p.peek() != '"' {
			return errNotJSON
		}
		name, err := p.string()
		if err != nil {
			return err
		}
		if p.skipSpace(); !p.skip(":") {
			return errNotJSON
		}
		value, err := p.value(level + 1)
		if _, isTwice := object.values[name]; isTwice && p.flaw == nil {
			p.flaw = refused(fmt.Sprintf("the member %q is there twice, and parsers differ on which counts; send it once", name))
		} else {
			object.names = append(object.names, name)
		}
		object.values[name] = value
		return err
	})
	return object, err
}

func (p *jsonParser) list(level int) (any, error) {
	items := []any{}
	err := p.items(']', func() error {
		item, err := p.value(level + 1)
		items = append(items, item)
		return err
	})
	return items, err
}

// items reads from an opening bracket to the closing one, with commas between what item reads.
func (p *jsonParser) items(closing byte, item func() error) error {
	p.at++
	if p.skipSpace(); p.skip(string(closing)) {
		return nil
	}
	for {
		p.skipSpace()
		if err := item(); err != nil {
			return err
		}
		p.skipSpace()
		if p.skip(string(closing)) {
			return nil
		}
		if !p.skip(",") {
			return errNotJSON
		}
	}
}

func (p *jsonParser) number() (any, error) {
	start := p.at
	p.skip("-")
	if !p.skip("0") && p.digits() == 0 {
		return nil, errNotJSON
	}
	if p.skip(".") && p.digits() == 0 {
		return nil, errNotJSON
	}
	if p.skip("e") || p.skip("E") {
		_ = p.skip("+") || p.skip("-")
		if p.digits() == 0 {
			return nil, errNotJSON
		}
	}
	return jsonNumber(p.text[start:p.at]), nil
}

func (p *jsonParser) digits() int {
	start := p.at
	for isDigit(p.peek()) {
		p.at++
	}
	return p.at - start
}

func (p *jsonParser) string() (string, error) {
	p.at++
	var out strings.Builder
	for {
		switch next := p.peek(); {
		case next == '"':
			p.at++
			return out.String(), nil
		case next == '\\':
			if err := p.escape(&out); err != nil {
				return "", err
			}
		case next < 0x20: // the end of the text too
			return "", errNotJSON
		default:
			out.WriteByte(next)
			p.at++
		}
	}
}

func (p *jsonParser) escape(out *strings.Builder) error {
	const letters, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	p.at++
	if i := strings.IndexByte(letters, p.peek()); i >= 0 && p.at < len(p.text) {
		out.WriteByte(meanings[i])
		p.at++
		return nil
	}
	high, ok := p.unit()
	if !ok {
		return errNotJSON
	}
	if high >= 0xd800 && high < 0xdc00 && strings.HasPrefix(p.text[p.at:], `\u`) {
		before := p.at
		p.at++
		if low, ok := p.unit(); ok && low >= 0xdc00 && low < 0xe000 {
			out.WriteRune((high-0xd800)<<10 + (low - 0xdc00) + 0x10000)
			return nil
		}
		p.at = before
	}
	if high >= 0xd800 && high < 0xe000 {
		// As UTF-8 would encode it if it encoded surrogates: no UTF-8, which readers of strings then refuse.
		out.Write([]byte{0xe0 | byte(high>>12), 0x80 | byte(high>>6&0x3f), 0x80 | byte(high&0x3f)})
		return nil
	}
	out.WriteRune(high)
	return nil
}

// unit reads `uXXXX`.
func (p *jsonParser) unit() (rune, bool) {
	if p.peek() != 'u' || p.at+5 > len(p.text) {
		return 0, false
	}
	unit, err := strconv.ParseUint(p.text[p.at+1:p.at+5], 16, 16)
	p.at += 5
	return rune(unit), err == nil
}

// peek returns 0 at the end, which is no byte of JSON.
func (p *jsonParser) peek() byte {
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *jsonParser) skip(text string) bool {
	if !strings.HasPrefix(p.text[p.at:], text) {
		return false
	}
	p.at += len(text)
	return true
}

func (p *jsonParser) skipSpace() {
	for p.at < len(p.text) && strings.IndexByte(" \t\n\r", p.text[p.at]) >= 0 {
		p.at++
	}
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// decodeText returns JSON text as a string, without a byte order mark.
func decodeText(bytes []byte) (string, bool) {
	return strings.TrimPrefix(string(bytes), "\ufeff"), utf8.Valid(bytes)
}
