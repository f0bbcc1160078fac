package verify

import (
	"errors"
	"strconv"
)

// fault says why a message is not read: which field is wrong, and what about it. It never shows a value.
type fault struct {
	// path of the field, as in "span.attributes[3].key"; empty for the message itself.
	path string
	text string
}

func (f *fault) Error() string {
	if f.path == "" {
		return f.text
	}
	return f.path + ": " + f.text
}

func refused(text string) error { return &fault{text: text} }

// within puts a field's name in front of the path of err, which is nil or a fault.
func within(err error, field string) error {
	var f *fault
	if !errors.As(err, &f) {
		return err
	}
	return &fault{path: joined(field, f.path), text: f.text}
}

// withinIndex puts the place in a list there; within then puts the list's name in front.
func withinIndex(err error, index int) error {
	return within(err, "["+strconv.Itoa(index)+"]")
}

func joined(field, path string) string {
	if path == "" || path[0] == '[' {
		return field + path
	}
	return field + "." + path
}
