package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fluo-dev/fluo-kms/clients/go/verify"
)

type failure struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Fields  []string `json:"fields"`
}

type report struct {
	Verified int          `json:"verified"`
	Failed   int          `json:"failed"`
	Spans    []spanReport `json:"spans"`
}

type spanReport struct {
	TraceID   string        `json:"trace_id,omitempty"`
	SpanID    string        `json:"span_id,omitempty"`
	Verified  bool          `json:"verified"`
	Reason    verify.Reason `json:"reason"`
	Message   string        `json:"message,omitempty"`
	KeyID     string        `json:"key_id,omitempty"`
	KeyState  string        `json:"key_state,omitempty"`
	SignedAt  string        `json:"signed_at,omitempty"`
	Log       string        `json:"log,omitempty"`
	LeafIndex *uint64       `json:"leaf_index,omitempty"`
}

func reportOf(verdicts []verify.Verdict) report {
	verified := countVerified(verdicts)
	whole := report{Verified: verified, Failed: len(verdicts) - verified, Spans: []spanReport{}}
	for _, v := range verdicts {
		span := spanReport{TraceID: v.TraceID, SpanID: v.SpanID, Verified: v.Verified, Reason: v.Reason, Message: v.Message,
			KeyID: v.KeyID, KeyState: v.KeyState, SignedAt: v.SignedAt, Log: v.Log}
		if v.Log != "" {
			span.LeafIndex = &v.LeafIndex
		}
		whole.Spans = append(whole.Spans, span)
	}
	return whole
}

func printJSON(out io.Writer, value any) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value)
}

func countVerified(verdicts []verify.Verdict) (count int) {
	for _, verdict := range verdicts {
		if verdict.Verified {
			count++
		}
	}
	return count
}

// printTable prints a line for each span: columns two spaces apart, the last one ragged.
func printTable(out io.Writer, verdicts []verify.Verdict) {
	var widths [2]int
	rows := make([][3]string, len(verdicts))
	for i, verdict := range verdicts {
		rows[i] = rowOf(verdict)
		for column := range widths {
			widths[column] = max(widths[column], utf8.RuneCountInString(rows[i][column]))
		}
	}
	for _, row := range rows {
		line := fmt.Sprintf("%-*s  %-*s  %s", widths[0], row[0], widths[1], row[1], row[2])
		_, _ = fmt.Fprintln(out, oneLine(strings.TrimRightFunc(line, unicode.IsSpace)))
	}
	verified := countVerified(verdicts)
	switch failed := len(verdicts) - verified; {
	case len(verdicts) == 0:
		_, _ = fmt.Fprintln(out, "there are no spans in the file")
	case failed > 0:
		_, _ = fmt.Fprintf(out, "%d of %d verified, %d failed\n", verified, len(verdicts), failed)
	default:
		_, _ = fmt.Fprintf(out, "%d of %d verified\n", verified, len(verdicts))
	}
}

func rowOf(v verify.Verdict) [3]string {
	about := v.Explanation()
	if v.Verified {
		place := ""
		if v.Log != "" {
			place = "entry " + strconv.FormatUint(v.LeafIndex, 10)
		}
		about = strings.TrimRight(strings.Join([]string{v.SignedAt, v.KeyID, v.KeyState, place}, "  "), " ")
	}
	return [3]string{orDash(v.TraceID) + "/" + orDash(v.SpanID), string(v.Reason), about}
}

func orDash(id string) string {
	if id == "" {
		return "-"
	}
	return id
}

// oneLine keeps what others wrote from steering the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}
