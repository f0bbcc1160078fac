package main

import "fmt"

// results counts the checks of a command, and prints those that fail.
type results struct {
	passed, failed int
	// mostPrinted bounds the lines; 0 means all.
	mostPrinted int
}

func (r *results) fail(what string, why ...any) {
	r.failed++
	if r.mostPrinted == 0 || r.failed <= r.mostPrinted {
		fmt.Printf("FAIL %s: %s\n", what, fmt.Sprint(why...))
	}
}

// check counts one check; why is printed if it fails.
func (r *results) check(ok bool, what string, why ...any) {
	if ok {
		r.passed++
		return
	}
	r.fail(what, why...)
}
