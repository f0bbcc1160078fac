package verify

import (
	"cmp"
	"fmt"
	"slices"
)

// logToAudit is what somebody hands over of a log.
type logToAudit struct {
	// spans are those whose own proofs hold, in the order in which they were handed over.
	spans, handovers []*logEntry
	// unused are handovers that were not used, as the key set says. They fill a gap where what comes after them proves
	// it.
	unused []unprovenEntry
	// changed are indices of spans that are there but whose proofs do not hold: they are not missing.
	changed map[int64]bool
	heads   []*knownHead
	// from and to bound what has to be there; where they are nil, the first span or head and the last do, the heads of
	// the spans' own proofs among them.
	from, to *int64
	// isOrdered says whether the order in which the spans were handed over has to be the log's.
	isOrdered bool
}

// auditRange returns the entries that have to be there.
func (l *logToAudit) auditRange() entryRange {
	var starts, ends []int64
	for _, span := range l.spans {
		starts = append(starts, span.index)
		ends = append(ends, span.index+1)
		if span.isTrusted {
			ends = append(ends, span.head.size)
		}
	}
	for _, head := range l.heads {
		if head.isKept {
			starts = append(starts, head.size)
			ends = append(ends, head.size)
		}
	}
	var found entryRange
	if len(starts) > 0 {
		found = entryRange{slices.Min(starts), slices.Max(ends)}
	}
	if l.from != nil {
		found.start = *l.from
	}
	if l.to != nil {
		found.end = *l.to
	}
	found.end = max(found.start, found.end)
	return found
}

// audit answers whether that is all of a log, from one entry to another, unchanged and in order.
func (l *logToAudit) audit() (entryRange, *logHistory, []Finding) {
	within := l.auditRange()
	spans := entriesWithin(within, l.spans)
	entries, findings := once(append(slices.Clone(spans), entriesWithin(within, l.handovers)...))
	var heads []*knownHead
	for _, head := range l.heads {
		if head.size >= within.start && head.size <= within.end {
			heads = append(heads, head)
		}
	}
	var unused []unprovenEntry
	for _, entry := range l.unused {
		if within.has(entry.index) {
			unused = append(unused, entry)
		}
	}
	history := historyOf(entries, heads, unused)
	filled := slices.Clone(history.fitting)
	for index := range l.changed {
		if within.has(index) {
			filled = append(filled, index)
		}
	}
	findings = append(findings, missing(entries, filled, within)...)
	if l.isOrdered {
		findings = append(findings, reordered(spans, entries)...)
	}
	for _, each := range history.rewritten {
		findings = append(findings, each.finding(entries))
	}
	for _, entry := range entries {
		if !entry.isTrusted && !(entry.index < entry.recordedSize && history.proves(entry.index)) {
			findings = append(findings, entry.compromised())
		}
	}
	return within, history, findings
}

func entriesWithin(within entryRange, entries []*logEntry) (found []*logEntry) {
	for _, entry := range entries {
		if within.has(entry.index) {
			found = append(found, entry)
		}
	}
	return found
}

// once returns the entries in the log's order, and findings for those that come in the place of another.
func once(given []*logEntry) (entries []*logEntry, twice []Finding) {
	present := map[int64]*logEntry{}
	for _, entry := range given {
		other := present[entry.index]
		switch {
		case other == nil:
			present[entry.index] = entry
			entries = append(entries, entry)
		case entry.name != "":
			twice = append(twice, entry.repeated(other))
		default:
			twice = append(twice, other.repeated(entry))
		}
	}
	slices.SortFunc(entries, byIndex)
	return entries, twice
}

func byIndex(a, b *logEntry) int { return cmp.Compare(a.index, b.index) }

func (e *logEntry) repeated(other *logEntry) Finding {
	place := other.name
	if place == "" {
		place = "a handover"
	}
	return findingAt("repeated", e.index, 1, e.name, "in the place of "+place)
}

func missing(entries []*logEntry, filled []int64, within entryRange) (findings []Finding) {
	there := slices.Clone(entries)
	for _, index := range filled {
		there = append(there, &logEntry{index: index})
	}
	slices.SortStableFunc(there, byIndex)
	due, before := within.start, ""
	for _, entry := range append(there, &logEntry{index: within.end}) {
		if entry.index > due {
			findings = append(findings, gap(due, entry.index-due, before, entry.name))
		}
		due = max(due, entry.index+1)
		before = entry.name
	}
	return findings
}

func gap(index, count int64, before, after string) Finding {
	message := counted(count, "entry", "entries")
	if before != "" {
		message += ", after " + before
	}
	if after != "" {
		message += ", before " + after
	}
	return findingAt("missing", index, count, "", message)
}

// reordered finds the first of the spans, as they were handed over, that stands where another is due. Those that come
// in the place of another do not count.
func reordered(spans, entries []*logEntry) []Finding {
	var due []*logEntry
	counts := map[*logEntry]bool{}
	for _, entry := range entries {
		counts[entry] = true
		if entry.name != "" {
			due = append(due, entry)
		}
	}
	for _, span := range spans {
		if !counts[span] {
			continue
		}
		if span != due[0] {
			message := fmt.Sprintf("entry %d stands where %s, entry %d, is due", span.index, due[0].name, due[0].index)
			return []Finding{findingAt("reordered", due[0].index, 1, span.name, message)}
		}
		due = due[1:]
	}
	return nil
}

func (r rewriting) finding(entries []*logEntry) Finding {
	first := slices.IndexFunc(entries, func(entry *logEntry) bool { return r.has(entry.index) && entry.name != "" })
	name := ""
	if first >= 0 {
		name = entries[first].name
	}
	count := r.end - r.start
	message := fmt.Sprintf("%s from %d on: not what %s is of", counted(count, "entry", "entries"), r.start, r.by)
	return findingAt("rewritten", r.start, count, name, message)
}

func (e *logEntry) compromised() Finding {
	message := "signed by a compromised key alone, "
	if e.index < e.recordedSize {
		message += "and in no other checkpoint that comes out"
	} else {
		message += "past the " + counted(e.recordedSize, "entry", "entries") + " that the log had then"
	}
	return findingAt("compromised", e.index, 1, e.name, message)
}

func findingAt(what string, index, count int64, span, message string) Finding {
	leafIndex := uint64(index)
	return Finding{What: what, LeafIndex: &leafIndex, Count: uint64(count), Span: nameOrNil(span), Message: message, order: 2 * index}
}
