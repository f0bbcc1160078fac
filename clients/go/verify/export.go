package verify

import (
	"errors"
	"fmt"
	"strings"
)

// exported is one ResourceSpans of an export as wire bytes, or why it cannot be read.
type exported struct {
	bytes []byte
	err   error
}

// exportMessage is an export, ExportTraceServiceRequest.
var exportMessage = messageOf(list(1, "resource_spans", messageKind(resourceSpansMessage)))

// splitExport returns the ResourceSpans of an OTLP trace export. A protobuf export begins with 0x0a, which in
// JSON is a line feed: only what parses to its end as protobuf counts as such.
func splitExport(export []byte) ([]exported, error) {
	if len(export) == 0 || export[0] == '\n' {
		if messages, ok := splitProtobuf(export); ok {
			return messages, nil
		}
	}
	text, ok := decodeText(export)
	if !ok {
		return nil, errors.New("the spans are neither an OTLP trace export in protobuf nor JSON in UTF-8")
	}
	if document, flaw, err := parseJSON(text); err == nil {
		return readDocument(document, flaw)
	}
	return splitLines(text)
}

func splitProtobuf(export []byte) (messages []exported, ok bool) {
	err := exportMessage.eachField(export, func(_ *field, value content) error {
		messages = append(messages, exported{bytes: value.bytes})
		return nil
	})
	return messages, err == nil
}

func splitLines(text string) (messages []exported, err error) {
	for i, line := range strings.Split(text, "\n") {
		if strings.Trim(line, " \t\r") == "" {
			continue
		}
		document, flaw, err := parseJSON(line)
		if err != nil {
			return nil, fmt.Errorf("the spans are not JSON in line %d; they must be an OTLP trace export", i+1)
		}
		more, err := readDocument(document, flaw)
		if err != nil {
			return nil, err
		}
		messages = append(messages, more...)
	}
	return messages, nil
}

// readDocument reads one export. A member that is there twice makes the whole of it one that cannot be read.
func readDocument(document any, flaw error) (messages []exported, err error) {
	if flaw != nil {
		return []exported{{err: flaw}}, nil
	}
	whole, ok := document.(*jsonObject)
	if ok && len(whole.names) == 1 && (whole.names[0] == "resourceSpans" || whole.names[0] == "resource_spans") {
		if list, ok := whole.values[whole.names[0]].([]any); ok {
			for _, each := range list {
				bytes, err := encodeResourceSpans(each)
				messages = append(messages, exported{bytes, err})
			}
			return messages, nil
		}
	}
	return nil, errors.New(`the spans must be OTLP trace exports: objects with a list "resourceSpans" and nothing else`)
}
