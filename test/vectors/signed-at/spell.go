// Spells instants, milliseconds since 1970 a line of standard input, as package time does: a line each, tabs between.
package main

import (
	"fmt"
	"time"
)

func main() {
	for ms := int64(0); ; {
		if _, err := fmt.Scanln(&ms); err != nil {
			return
		}
		at := time.UnixMilli(ms).UTC()
		fmt.Printf("%s\t%s\n", at.Format(time.RFC3339Nano), at.Format("2006-01-02T15:04:05.000000000-07:00"))
	}
}
