/**
 * Prices of connections, in milliseconds of CPU. Node does not tell them, so they are reckoned from what a connection does. Handshakes, calls that are
 * refused and headers were measured; the rest is estimated.
 */

/** A connection until its first call: with a handshake of TLS 1.3 by ECDSA P-256, and without TLS. */
export const connectingMs = { secure: 1, plain: 0.1 };
/** A call that the door refuses: its stream, the answer and what is counted take a third of it, but 100 of a connection may come at once. */
export const refusalMs = 1;
/** A call of what is open to everybody. */
export const answerMs = 0.05;
/**
 * A byte that arrives. By HTTP/2 it may be of headers that are too many for a call, of which nobody is told. nghttp2 takes 20 ns for a reference of
 * a byte, be it to a header of 4 kB that the client had it keep or to one of the static table, and 50 ns a byte for new headers without a value. So
 * it counts ten times or more, as a connection is read up to 2 MB at a time, and nothing else runs meanwhile. Of HTTP/1.1 it is one of a body that
 * nobody reads.
 *
 * SETTINGS_HEADER_TABLE_SIZE of 0 would keep only some of it out. It would also have nghttp2 refuse each client that does not send an update of the
 * table's size from then on, as nginx does not.
 */
export const byteMs = { grpc: 500e-6, http: 1e-6 };
/** Bytes of a connection that cost nothing: a handshake with a certificate, settings and the headers of a call. */
export const freeBytes = 16 * 1024;
/** Bytes of a call beside its body: its headers as they may be at most, and what its client sends to get the answer. */
export const callBytes = 16 * 1024;
/** Bytes of a chunk of a body beside it: the heads of a frame of DATA and of a record of TLS or two. */
export const chunkBytes = 128;
/** Bytes that may be under way on a stream that is cut off: its window. */
export const unreadBytes = 64 * 1024;
/** A body that is given up: its connection ends, and whoever sent it would come back with the next. */
export const slowBodyMs = 20;
