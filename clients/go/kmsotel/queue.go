package kmsotel

import (
	"context"
	"errors"
	"sync"
)

var errStopped = errors.New("the exporter is shut down")

// queue holds the items that are neither delivered nor lost, in order.
type queue struct {
	bounds Queue

	mu     sync.Mutex
	items  []*item
	spans  int
	bytes  int
	closed bool
	// changed is closed, and made anew, when an item comes or goes.
	changed chan struct{}
	// taken is how many of the items a worker has.
	taken int
	// pushed and gone count the items that ever came and went.
	pushed, gone int
}

func newQueue(bounds Queue) *queue { return &queue{bounds: bounds, changed: make(chan struct{})} }

// push waits for room until ctx ends. An item that is larger than the queue has room while it is empty.
func (q *queue) push(ctx context.Context, added *item) error {
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return errStopped
		}
		if len(q.items) == 0 || q.spans+added.queued <= q.bounds.Spans && q.bytes+added.bytes <= q.bounds.Bytes {
			q.items = append(q.items, added)
			q.spans, q.bytes = q.spans+added.queued, q.bytes+added.bytes
			q.pushed++
			q.signal()
			q.mu.Unlock()
			return nil
		}
		changed := q.changed
		q.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next waits for the next item that no worker has, which stays in the queue; nil if ctx ends.
func (q *queue) next(ctx context.Context) *item {
	for {
		q.mu.Lock()
		if q.taken < len(q.items) {
			taken := q.items[q.taken]
			q.taken++
			q.mu.Unlock()
			return taken
		}
		changed := q.changed
		q.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// shift takes the first item out: it is delivered or lost.
func (q *queue) shift() {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.items[0]
	q.items[0] = nil
	q.items, q.taken = q.items[1:], q.taken-1
	q.gone++
	q.spans, q.bytes = q.spans-first.queued, q.bytes-first.bytes
	q.signal()
}

// drained waits until the items that are queued now are gone, or ctx ends. Items that come later are not waited for.
func (q *queue) drained(ctx context.Context) error {
	q.mu.Lock()
	last := q.pushed
	q.mu.Unlock()
	for {
		q.mu.Lock()
		isDone, changed := q.gone >= last, q.changed
		q.mu.Unlock()
		if isDone {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close lets no further item in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// clear takes out what is left, and returns how many spans that is. No worker runs.
func (q *queue) clear() (spans int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, each := range q.items {
		spans += each.count
	}
	q.gone += len(q.items)
	q.items, q.taken, q.spans, q.bytes = nil, 0, 0, 0
	q.signal()
	return spans
}

// held returns what the items take of the bounds.
func (q *queue) held() Queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Queue{Spans: q.spans, Bytes: q.bytes}
}

func (q *queue) signal() {
	close(q.changed)
	q.changed = make(chan struct{})
}
