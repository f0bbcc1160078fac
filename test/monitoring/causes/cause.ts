/** What makes an alert fire on a live service, in a form that one test runs all of them by. */
import type { SharedPostgres } from "../../support/shared-postgres.ts";
import type { ProcessOptions } from "../../support/service-process.ts";
import type { Road } from "../road.ts";
import type { Service, Site, SiteOptions } from "../site.ts";

/** An alert by its name, and by labels where several rules have the name. */
export interface Expected {
  name: string;
  labels?: Readonly<Record<string, string>>;
}

/** The services of one cause, while it runs. */
export interface Scene {
  site: Site;
  /** Those that run, or the last that ran in each one's place. */
  services: Service[];
  /** From each service to PostgreSQL; none with SQLite. */
  roads: readonly Road[];
  server: SharedPostgres;
  /** URL of the database, past the roads. */
  database: string | undefined;
  /** Starts the service in this place anew. */
  restart(place: number, signal?: NodeJS.Signals): Promise<void>;
  /** Resolves when Prometheus has looked at each service. */
  looked(): Promise<unknown>;
  /** Resolves when Prometheus has looked at the process that runs in this place now, and not only at those before it. */
  lookedAtNew(place: number): Promise<unknown>;
}

export interface Cause {
  /** Also that of its cluster. */
  name: string;
  store?: "postgres" | "sqlite";
  site?: Omit<SiteOptions, "database">;
  /** Services; 1 unless told otherwise. */
  replicas?: number;
  /** Whether a service that is started anew keeps its address, so that it is the same instance for Prometheus. */
  keepsAddress?: boolean;
  /** Why it cannot be made on this machine, if so. */
  whyNot?(): Promise<string | undefined> | string | undefined;
  /** What is before the services start. */
  prepare?(scene: Pick<Scene, "site" | "roads" | "server" | "database">): Promise<unknown> | unknown;
  /** How the service in a place is started, at first and again. */
  start?(place: number, site: Site): { env?: Record<string, string>; options?: ProcessOptions };
  /** Made five times a second on each service, from its start on. What becomes of them is nobody's concern. */
  call?(service: Service, turn: number): Promise<unknown>;
  /** Begins it, with every service running and scraped; and again with a service that was started anew, unless that does nothing. */
  begin(scene: Scene): Promise<unknown> | unknown;
  beginAgain?(scene: Scene): Promise<unknown> | unknown;
  fires: readonly Expected[];
  /** Critical alerts that Alertmanager does not hold back, once all fire; none if it is for a ticket alone. `any` where KmsSlow may be one, by how fast this machine is. */
  pages?: readonly string[] | "any";
  /** Alerts that somebody could think to fire, too. */
  silent?: readonly Expected[];
  /**
   * What a service does that is started while the cause is there: the same alerts fire of it, or it does not start, and is gone. `never` where
   * the cause is that it does not run, or where it ends with the process.
   */
  restarted?: "same" | "gone" | "never";
  /** Where it was there before the first scrape; by default the same alerts. */
  late?: readonly Expected[];
  /** Ends it. Without, nothing is said of how the alerts end. */
  end?(scene: Scene): Promise<unknown> | unknown;
  /** Alerts whose end takes longer than a test does. */
  linger?: readonly Expected[];
  /** Takes away what `prepare` and `begin` made. */
  tidy?(site: Site): Promise<unknown> | unknown;
}

/** What each site has that must be ended, by its folder. */
export function ofSites<T>(end: (held: T) => unknown) {
  const all = new Map<string, T>();
  const ended = ({ dir }: Site) => {
    const held = all.get(dir);
    all.delete(dir);
    return held === undefined ? undefined : end(held);
  };
  return {
    ended,
    of: ({ dir }: Site) => all.get(dir)!,
    put(site: Site, held: T) {
      void ended(site);
      all.set(site.dir, held);
      return held;
    },
  };
}
