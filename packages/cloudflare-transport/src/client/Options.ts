/** What a client is made of: everything that may be said when one is made. */
import type { Address } from "@signal-hub/actor-core/vocabulary"
import type * as Schedule from "effect/Schedule"
import type { Persistence } from "./Persistence.ts"
import type { OpenSocket } from "./Socket.ts"
import type { Wakeup } from "./Wakeups.ts"

/**
 * Called before each attempt to connect, and before the token in use expires; never twice at once.
 * `undefined`: connect without. `refused`: a cached one won't do, as the hub refused it (4401) or it is
 * about to expire. May take 10 s; a failure counts as a failed attempt. A `LoginRequired` ends all attempts, at
 * the first connect and at any later one; a connection whose token is still valid lives until that expires.
 */
export type TokenProvider = (context: {
  readonly refused: boolean
}) => string | undefined | Promise<string | undefined>

export interface ClientOptions {
  /** The hub: ws, wss, http or https, e.g. `https://example.com/ws`. No `#fragment`. Never put a token in it. */
  readonly url: string | URL
  /** The address to speak for, where the hub is open. With a token, the token names it. */
  readonly identity?: Address.Address
  /** A token, or what provides one. A token as text cannot be refreshed: 4401 is final then. */
  readonly token?: string | TokenProvider
  /** `json` by default; the msgpack codec is loaded when it is asked for. */
  readonly codec?: "json" | "msgpack"
  /** Tags of this client. */
  readonly capabilities?: ReadonlyArray<string>
  /** What the hub may know about this client: plain data, about 3.75 KiB as JSON with identity and capabilities. */
  readonly metadata?: { readonly [key: string]: unknown }
  /**
   * Seconds that the hub keeps the session after a lost connection: 60 by default, at most 3,600. A finite number
   * from 0.
   */
  readonly sessionExpirySeconds?: number
  /**
   * Where the session is stored, so that the process that comes after this one, as a page that is loaded
   * again, takes it up with what is not yet acknowledged. By default it ends with this process.
   */
  readonly persistence?: Persistence
  /** Take the identity even from a session that was put out before. `false` by default. */
  readonly reclaim?: boolean
  /**
   * Milliseconds that an ask or a request may take unless it says otherwise: 30,000 by default. A number from 0, at
   * most 24 hours, for which `Infinity` stands. An actor system over `HubClient.transport` has an `askTimeout` of its
   * own.
   */
  readonly askTimeout?: number
  /**
   * Messages that wait while there is no connection: 1,000 by default, a whole number from 0. More are refused
   * `queue_full`.
   */
  readonly queueLimit?: number
  /**
   * Milliseconds that an envelope waits for an actor to be served at its address, or for a listener: 30,000 by
   * default, a number from 0 or `Infinity`. Until then the hub is not told that it was taken, and sends it again to
   * the process that comes after this one. Then it is given up, as the event `unclaimed` of `onSession` tells; who
   * asks gets `ActorFailed` with code `unclaimed`.
   */
  readonly unclaimedTimeout?: number
  /** When to try again; `reconnectSchedule` by default. When it ends, so does the client. */
  readonly schedule?: Schedule.Schedule<unknown>
  /** How sockets are opened; the platform's `WebSocket` by default. */
  readonly webSocket?: OpenSocket
  /** What wakes a waiting client; the platform's `online`, `pageshow` and `visibilitychange` by default. */
  readonly wakeups?: ReadonlyArray<Wakeup>
}
