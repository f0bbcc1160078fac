/**
 * What strangers cost, in milliseconds of CPU. Node does not tell what a connection costs, so it is reckoned from what it does. Handshakes, calls that
 * are refused and references to headers were measured; the rest is estimated.
 */

/** A connection until its first call: with a handshake of TLS 1.3 by ECDSA P-256, and without TLS. */
export const connectingMs = { secure: 1, plain: 0.1 };
/** A call that the door refuses: its stream, the answer and what is counted take a third of it, but 100 of a connection may come at once. */
export const refusalMs = 1;
/** A call of what is open to everybody. */
export const answerMs = 0.05;
/**
 * A byte that arrives. By HTTP/2 it may be a reference to a header of 4 kB, which costs 20 ns; it counts 25 times, as a connection that sends them
 * is read up to 2 MB at a time, and nothing else runs meanwhile. Of HTTP/1.1 it is one of a body that nobody reads.
 */
export const byteMs = { grpc: 500e-6, http: 1e-6 };
/** Bytes of a connection that cost nothing: a handshake with a certificate, settings and the headers of a call. */
export const freeBytes = 16 * 1024;
/** A body that is given up: its connection ends, and whoever sent it would come back with the next. */
export const slowBodyMs = 20;
