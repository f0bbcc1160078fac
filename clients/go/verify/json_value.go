package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A JSON value is nil, a bool, a string, a jsonNumber, a []any or a *jsonObject. The grammar is encoding/json's, which is
// RFC 8259's. What that library passes over is found here: members that are there twice, and half a surrogate pair,
// which stays distinct, as bytes that are no UTF-8.
type (
	jsonNumber string
	jsonObject struct {
		names  []string
		values map[string]any
	}
)

// maxJSONLevels of objects and lists are more than protobuf's JSON nests in the hundred messages that its readers allow.
const maxJSONLevels = 512

var errNotJSON = errors.New("not JSON")

// wholeSurrogates is a string of JSON in which each half of a surrogate pair has the other one.
var wholeSurrogates = regexp.MustCompile(`^(?:[^\\]|\\[^u]|\\u(?:[^dD]...|[dD][0-7]..)|\\u[dD][89abAB]..\\u[dD][c-fC-F]..)*$`)

// parseJSON returns the value of a whole text. flaw says that the text is JSON in which a member is there twice. What is
// nested too deeply is not read as JSON.
func parseJSON(text string) (value any, flaw error, err error) {
	if !json.Valid([]byte(text)) {
		return nil, nil, errNotJSON
	}
	r := jsonReader{Decoder: json.NewDecoder(strings.NewReader(text)), text: text}
	r.UseNumber()
	value, err = r.value(0)
	return value, r.flaw, err
}

type jsonReader struct {
	*json.Decoder
	text string
	flaw error
}

func (r *jsonReader) value(level int) (any, error) {
	token, err := r.token()
	_, isContainer := token.(json.Delim)
	switch {
	case err != nil:
		return nil, err
	case isContainer && level >= maxJSONLevels:
		return nil, errNotJSON
	case token == json.Delim('{'):
		return r.object(level)
	case token == json.Delim('['):
		return r.list(level)
	}
	if number, ok := token.(json.Number); ok {
		return jsonNumber(number), nil
	}
	return token, nil
}

func (r *jsonReader) object(level int) (any, error) {
	object := &jsonObject{values: map[string]any{}}
	for r.More() {
		token, err := r.token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		if _, isTwice := object.values[name]; isTwice && r.flaw == nil {
			r.flaw = refused(fmt.Sprintf("the member %q is there twice, and parsers differ on which counts; send it once", name))
		}
		object.names = append(object.names, name)
		if object.values[name], err = r.value(level + 1); err != nil {
			return nil, err
		}
	}
	_, err := r.token()
	return object, err
}

func (r *jsonReader) list(level int) (any, error) {
	items := []any{}
	for r.More() {
		item, err := r.value(level + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := r.token()
	return items, err
}

func (r *jsonReader) token() (json.Token, error) {
	start := r.InputOffset()
	token, err := r.Token()
	if text, ok := token.(string); ok && strings.Contains(text, "\ufffd") {
		if spelling := r.text[start:r.InputOffset()]; !wholeSurrogates.MatchString(spelling) {
			return withHalves(spelling[strings.IndexByte(spelling, '"')+1 : len(spelling)-1]), err
		}
	}
	return token, err
}

var escapesAndText = regexp.MustCompile(`\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|[^\\]+`)

// withHalves returns what is between the quotes of a string of JSON. Each half of a surrogate pair becomes the three
// bytes that UTF-8 would have for it, so that two spellings of one name are the same.
func withHalves(spelling string) string {
	var text strings.Builder
	for _, piece := range escapesAndText.FindAllString(spelling, -1) {
		if len(piece) == 6 && piece[1] == 'u' {
			if unit, _ := strconv.ParseUint(piece[2:], 16, 16); unit&0xf800 == 0xd800 {
				text.Write([]byte{0xed, 0x80 | byte(unit>>6)&0x3f, 0x80 | byte(unit)&0x3f})
				continue
			}
		}
		var decoded string
		_ = json.Unmarshal([]byte(`"`+piece+`"`), &decoded) // it is JSON: the whole was checked
		text.WriteString(decoded)
	}
	return text.String()
}

// decodeText returns JSON text as a string, without a byte order mark.
func decodeText(bytes []byte) (string, bool) {
	return strings.TrimPrefix(string(bytes), "\ufeff"), utf8.Valid(bytes)
}
