package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

func printLine(out io.Writer, text string) { _, _ = fmt.Fprintln(out, oneLine(text)) }

// printTable prints rows as columns, two spaces apart, the last cell of a row ragged.
func printTable(out io.Writer, rows [][]string, indent string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i == len(row)-1 {
				line.WriteString(cell)
			} else {
				fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
			}
		}
		printLine(out, indent+strings.TrimRightFunc(line.String(), unicode.IsSpace))
	}
}

// printClosing prints what was checked, and what no check shows, whatever came of it.
func printClosing(out io.Writer, asked invocation) {
	checks := []string{"each span's signature or log proof", "the state of each key"}
	limits := []string{"that what a span says is true", "spans never sent or sampled away"}
	if asked.isOfLog {
		checks = append(checks, "that no entry is missing, repeated or rewritten")
		limits = append(limits, "what came after the last entry")
	} else {
		limits = append(limits, "whether spans are missing")
	}
	if asked.isOfLog && !asked.isInAnyOrder {
		checks = append(checks, "the order of the spans")
	}
	switch {
	case len(asked.checkpoints) > 0:
		checks = append(checks, "the kept checkpoints")
		limits = append(limits, "that a checkpoint binds a party that kept it itself")
	case asked.isOfLog:
		limits = append(limits, "whether the log was cut off or written anew")
	}
	if len(asked.vkeys) > 0 {
		checks = append(checks, "that the keys follow from a --vkey")
	} else {
		limits = append(limits, "whose the keys are")
	}
	printLine(out, "The following checks were performed: "+strings.Join(checks, "; ")+".")
	printLine(out, "Not shown: "+strings.Join(limits, "; ")+".")
}

// printJSON writes characters that steer as escapes: within strings alone JSON has any but white space.
func printJSON(out io.Writer, value any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value)
	var escaped strings.Builder
	for _, r := range text.String() {
		if r != '\n' && steers(r) {
			fmt.Fprintf(&escaped, `\u%04x`, r)
		} else {
			escaped.WriteRune(r)
		}
	}
	_, _ = io.WriteString(out, escaped.String())
}

// oneLine keeps what others wrote on its line, and from steering the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if steers(r) {
			return '?'
		}
		return r
	}, text)
}

// steers says whether a terminal obeys the character: C0, DEL, C1, what turns the direction of text, and separators of
// lines and paragraphs.
func steers(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

func counted[Count int | uint64](count Count, one, many string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, many)
}
