/** What a client is made of: everything that may be said when one is made. */
import type { Address } from "@signal-hub/actor-core/vocabulary"
import type * as Schedule from "effect/Schedule"
import type { Persistence } from "./Persistence.ts"
import type { OpenSocket } from "./Socket.ts"
import type { Wakeup } from "./Wakeups.ts"

/**
 * Called before each attempt to connect, and before the token in use expires; never twice at once.
 * `undefined`: connect without. `refused`: a cached one won't do, as the hub refused it (4401) or it is
 * about to expire. May take 10 s; a failure counts as a failed attempt.
 */
export type TokenProvider = (context: {
  readonly refused: boolean
}) => string | undefined | Promise<string | undefined>

export interface ClientOptions {
  /** The hub: ws, wss, http or https, e.g. `https://example.com/ws`. Never put a token in it. */
  readonly url: string
  /** The address to speak for, where the hub is open. With a token, the token names it. */
  readonly identity?: Address.Address
  /** A token, or what provides one. A token as text cannot be refreshed: 4401 is final then. */
  readonly token?: string | TokenProvider
  /** `json` by default; the msgpack codec is loaded when it is asked for. */
  readonly codec?: "json" | "msgpack"
  /** Tags of this client. */
  readonly capabilities?: ReadonlyArray<string>
  /** What the hub may know about this client. */
  readonly metadata?: { readonly [key: string]: unknown }
  /** Seconds that the hub keeps the session after a lost connection: 60 by default, at most 3,600. */
  readonly sessionExpirySeconds?: number
  /**
   * Where the session is stored, so that the process that comes after this one, as a page that is loaded
   * again, takes it up with what is not yet acknowledged. By default it ends with this process.
   */
  readonly persistence?: Persistence
  /** Take the identity even from a session that was put out before. `false` by default. */
  readonly reclaim?: boolean
  /** Milliseconds that an ask or a request may take unless it says otherwise: 30,000 by default. */
  readonly askTimeout?: number
  /** Messages that wait while there is no connection: 1,000 by default. More are refused `queue_full`. */
  readonly queueLimit?: number
  /** When to try again; `reconnectSchedule` by default. When it ends, so does the client. */
  readonly schedule?: Schedule.Schedule<unknown>
  /** How sockets are opened; the platform's `WebSocket` by default. */
  readonly webSocket?: OpenSocket
  /** What wakes a waiting client; the platform's `online`, `pageshow` and `visibilitychange` by default. */
  readonly wakeups?: ReadonlyArray<Wakeup>
}
