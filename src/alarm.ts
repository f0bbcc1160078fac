/**
 * The alarm of the service: any part that notices trouble raises it, and the health monitor listens. It exists before both, so that no
 * part needs to know the monitor.
 */

export interface Alarm {
  /** A call failed as if the store were gone, or changed what is counted. The monitor looks soon, at most once a second. */
  suspect(): void;
  /** A stored record is damaged; `what` names it. The service is degraded until an hour passes without another. */
  lost(what: string): void;
  /** A breaker opened or closed, or a provider key is in another condition than before. */
  changed(): void;
}

export interface StartedAlarm extends Alarm {
  /** Passes each alarm on to `listener` from now on, until the returned function is called. */
  listen(listener: Alarm): () => void;
}

export function createAlarm(): StartedAlarm {
  const listeners = new Set<Alarm>();
  const each = (tell: (listener: Alarm) => void) => {
    for (const listener of listeners) tell(listener);
  };
  return {
    suspect: () => each((listener) => listener.suspect()),
    lost: (what) => each((listener) => listener.lost(what)),
    changed: () => each((listener) => listener.changed()),
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
