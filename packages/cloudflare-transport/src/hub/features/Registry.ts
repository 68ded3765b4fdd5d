/** The registrations of a hub: which session holds which address, with its tags, metadata and lease. */
import { Address, type AddressPattern, PayloadValue } from "@signal-hub/actor-core"
import { sameSecret } from "../../auth/SecretText.ts"
import type { ActorEntry } from "../../protocol/HubMessage.ts"
import type { Limits } from "../../protocol/Limits.ts"
import { leaseUntil, sessionHeard } from "../../session/Liveness.ts"
import type { Session } from "../../session/Session.ts"
import type { Sessions } from "../../session/Sessions.ts"
import { countOf, type Sql, upsert } from "../../object/Sql.ts"
import { fromRow as fromStored, type StoredValue, toReadableRow } from "../../object/StoredValue.ts"
import { ROWS_A_READ } from "./Pages.ts"

const STORE_REGISTRATION = upsert(
  "registration",
  ["address"],
  [
    "session",
    "capabilities",
    "metadata",
    "ttl_seconds",
    "registered_at",
    "version",
    "renewal_token",
    "lease_until",
  ],
)

/** An address that a session has made discoverable. */
export interface Registration {
  readonly address: Address.Address
  sessionId: string
  capabilities: ReadonlyArray<string>
  metadata: { readonly [key: string]: unknown }
  ttlSeconds: number
  readonly registeredAt: number
  version: number
  renewalToken: string
}

interface RegistrationRow {
  readonly address: Address.Address
  readonly session: string
  readonly capabilities: string
  readonly metadata: StoredValue
  readonly ttl_seconds: number
  readonly registered_at: number
  readonly version: number
  readonly renewal_token: string
}

const fromRow = (row: RegistrationRow): Registration => ({
  address: row.address,
  sessionId: row.session,
  capabilities: JSON.parse(row.capabilities),
  metadata: fromStored(row.metadata) as Registration["metadata"],
  ttlSeconds: row.ttl_seconds,
  registeredAt: row.registered_at,
  version: row.version,
  renewalToken: row.renewal_token,
})

/** What of a registration is looked at to find it. */
type Held = Pick<Registration, "address" | "sessionId" | "ttlSeconds">

type HeldRow = Pick<RegistrationRow, "address" | "session" | "capabilities" | "ttl_seconds">

/** Which registrations are looked for, and how far. */
interface PageWanted {
  readonly prefix: string
  /** The address to begin after. */
  readonly after: string
  readonly limit: number
  /** Rows that are looked at, at most. */
  readonly scan: number
  readonly now: number
  readonly isMeant: (registration: Held) => boolean
  /** Tags that each must have. */
  readonly wanted: ReadonlyArray<string>
}

interface Page {
  readonly found: ReadonlyArray<Held>
  /** The address to go on after; `undefined` at the end. */
  readonly next: string | undefined
  readonly looked: number
}

/** Whether the capabilities, as JSON, are all that is wanted, or more. */
export const hasAll = (wanted: ReadonlyArray<string>, capabilities: string): boolean => {
  if (wanted.length === 0) return true
  const has = JSON.parse(capabilities) as ReadonlyArray<string>
  return wanted.every((capability) => has.includes(capability))
}

/** Bytes of registrations that are remembered beside their rows. */
const MAX_CACHE_BYTES = 32 * 1_048_576
/** Addresses without a row that are remembered. */
const MOST_ABSENT = 1_000

/** The registrations, in the table `registration` and in a cache of bounded size. */
export class Registry {
  readonly #sql: Sql
  readonly #limits: Limits
  readonly #sessions: Sessions
  readonly #cache = new Map<string, Registration>()
  /** Bytes of all that came into the cache since it was last empty. */
  #cacheBytes = 0
  /** Addresses of which it is known that there is no row: those of others, in a gateway. */
  readonly #absent = new Set<Address.Address>()
  #count: number | undefined

  constructor(sql: Sql, limits: Limits, sessions: Sessions) {
    this.#sql = sql
    this.#limits = limits
    this.#sessions = sessions
  }

  count(): number {
    this.#count ??= countOf(this.#sql, "SELECT count(*) AS n FROM registration")
    return this.#count
  }

  /** How many the session holds. */
  countOf(session: Session): number {
    session.addresses ??= countOf(
      this.#sql,
      "SELECT count(*) AS n FROM registration WHERE session = ?",
      session.id,
    )
    return session.addresses
  }

  get(address: Address.Address): Registration | undefined {
    const cached = this.#cache.get(address)
    if (cached !== undefined || this.#absent.has(address)) return cached
    const row = this.#sql.all<RegistrationRow>("SELECT * FROM registration WHERE address = ?", address)[0]
    if (row === undefined) {
      if (this.#absent.size >= MOST_ABSENT) this.#absent.clear()
      this.#absent.add(address)
      return undefined
    }
    const registration = fromRow(row)
    this.#remember(registration)
    return registration
  }

  /** The one of its address from now on, as its row is. */
  #remember(registration: Registration): void {
    if (this.#cache.get(registration.address) === registration) return
    this.#cacheBytes += PayloadValue.memoryOf(registration)
    if (this.#cacheBytes > MAX_CACHE_BYTES) {
      this.#cache.clear()
      this.#cacheBytes = PayloadValue.memoryOf(registration)
    }
    this.#cache.set(registration.address, registration)
  }

  /** The registration whose current renewal token this is. A token begins with its address. */
  heldUnder(token: string): Registration | undefined {
    const address = decodeAddress(token)
    const registration = address === undefined ? undefined : this.get(address)
    return registration !== undefined && sameSecret(registration.renewalToken, token)
      ? registration
      : undefined
  }

  /** The session that holds the address by a live registration. */
  holder(address: Address.Address, now: number): Session | undefined {
    const registration = this.get(address)
    if (registration === undefined) return undefined
    const session = this.#sessions.byId(registration.sessionId)
    return session !== undefined && this.expiresAt(registration, session, now) > now ? session : undefined
  }

  /**
   * Whether the session holds the address by a live registration. The text is a client's: unlike an address that
   * was looked for, it is not remembered.
   */
  isHeldBy(session: Session, text: string, now: number): boolean {
    if (this.countOf(session) === 0) return false
    const address = text as Address.Address
    const known = this.#cache.get(address)
    if (known === undefined && !this.#hasRow(address)) return false
    return this.holder(address, now) === session
  }

  #hasRow(address: Address.Address): boolean {
    return this.#sql.all("SELECT 1 FROM registration WHERE address = ?", address).length > 0
  }

  /** Until when the registration holds, if nothing more is heard. */
  expiresAt(registration: Pick<Registration, "ttlSeconds">, session: Session, now: number): number {
    const heardAt = sessionHeard(session, this.#sessions.connectionOf(session), now)
    return leaseUntil(heardAt, registration.ttlSeconds, this.#limits)
  }

  put(registration: Registration, session: Session): void {
    const before = this.get(registration.address)
    if (before === undefined) {
      if (this.#count !== undefined) this.#count++
      if (session.addresses !== undefined) session.addresses++
    }
    this.#sql.run(
      STORE_REGISTRATION,
      registration.address,
      registration.sessionId,
      JSON.stringify(registration.capabilities),
      toReadableRow(registration.metadata),
      registration.ttlSeconds,
      registration.registeredAt,
      registration.version,
      registration.renewalToken,
      null,
    )
    this.#remember(registration)
    this.#absent.delete(registration.address)
  }

  /** Stores a rotated token and the TTL. */
  renew(registration: Registration, renewalToken: string, ttlSeconds: number): void {
    this.#sql.run(
      "UPDATE registration SET renewal_token = ?, ttl_seconds = ? WHERE address = ?",
      renewalToken,
      ttlSeconds,
      registration.address,
    )
    registration.renewalToken = renewalToken
    registration.ttlSeconds = ttlSeconds
    this.#remember(registration)
  }

  /** Gives a registration to another session; its version goes up. */
  pass(registration: Registration, to: Session): void {
    this.#sql.run(
      "UPDATE registration SET session = ?, version = version + 1, lease_until = NULL WHERE address = ?",
      to.id,
      registration.address,
    )
    registration.sessionId = to.id
    registration.version++
    this.#remember(registration)
    if (to.addresses !== undefined) to.addresses++
  }

  remove(registration: Registration, holder: Session | undefined): void {
    this.#sql.run("DELETE FROM registration WHERE address = ?", registration.address)
    this.#cache.delete(registration.address)
    if (this.#count !== undefined) this.#count--
    if (holder?.addresses !== undefined) holder.addresses--
  }

  /** All that the session holds. */
  heldBy(session: Session): ReadonlyArray<Registration> {
    return this.#sql
      .all<{ address: Address.Address }>("SELECT address FROM registration WHERE session = ?", session.id)
      .map(({ address }) => this.get(address)!)
  }

  /** The session lost its connection: from now on its leases are deadlines. */
  armLeases(session: Session): void {
    const silence = leaseUntil(session.heardAt, 0, this.#limits)
    this.#sql.run(
      "UPDATE registration SET lease_until = max(?, ? + ttl_seconds * 1000) WHERE session = ?",
      silence,
      session.heardAt,
      session.id,
    )
  }

  /** The session has a connection again: its leases are as long as it is heard. */
  disarmLeases(session: Session): void {
    this.#sql.run("UPDATE registration SET lease_until = NULL WHERE session = ?", session.id)
  }

  leasesOver(now: number): ReadonlyArray<Registration> {
    return this.#sql
      .all<{ address: Address.Address }>(
        "SELECT address FROM registration WHERE lease_until <= ? LIMIT 1000",
        now,
      )
      .map(({ address }) => this.get(address)!)
  }

  /**
   * Up to `limit` live registrations that begin with `prefix`, after an address, in the order of
   * addresses, looking at no more than `scan` rows. Where `limit` were found it ends with the last of them.
   */
  page({ prefix, after, limit, scan, now, isMeant, wanted }: PageWanted): Page {
    const found: Array<Held> = []
    let looked = 0
    let last = after
    while (looked < scan) {
      // One more than is wanted, which tells whether there is more.
      const room = Math.min(scan - looked, Math.max(limit - found.length + 1, ROWS_A_READ))
      const rows = this.#sql.all<HeldRow>(
        `SELECT address, session, capabilities, ttl_seconds FROM registration
         WHERE address > ? AND address >= ? AND address < ? ORDER BY address LIMIT ?`,
        last,
        prefix,
        `${prefix}\x7f`,
        room,
      )
      for (const { address, session, capabilities, ttl_seconds } of rows) {
        looked++
        const held = { address, sessionId: session, ttlSeconds: ttl_seconds }
        const isFound = isMeant(held) && hasAll(wanted, capabilities) && this.#isLive(held, now)
        if (isFound && found.length === limit) return { found, next: found.at(-1)?.address ?? last, looked }
        if (isFound) found.push(held)
        last = address
      }
      if (rows.length < room) return { found, next: undefined, looked }
    }
    return { found, next: last, looked }
  }

  /** What others may see of a registration: no token, no session. */
  entry(registration: Registration, now: number): ActorEntry {
    return this.entryOf(registration, this.#sessions.byId(registration.sessionId)!, now)
  }

  /** The same, of a registration that this session holds. */
  entryOf(registration: Registration, session: Session, now: number): ActorEntry {
    return {
      address: registration.address,
      actorAddress: registration.address,
      capabilities: registration.capabilities,
      metadata: registration.metadata,
      registeredAt: registration.registeredAt,
      expiresAt: this.expiresAt(registration, session, now),
      version: registration.version,
    }
  }

  #isLive(registration: Held, now: number): boolean {
    const session = this.#sessions.byId(registration.sessionId)
    return session !== undefined && this.expiresAt(registration, session, now) > now
  }
}

/** What every address that the pattern matches begins with: the part before its first star. */
export const literalPrefix = (pattern: AddressPattern.AddressPattern): string => {
  const star = pattern.source.indexOf("*")
  return star === -1 ? pattern.source : pattern.source.slice(0, star)
}

const decodeAddress = (token: string): Address.Address | undefined => {
  try {
    const text = atob(token.slice(0, Math.max(0, token.indexOf("."))))
    return Address.isAddress(text) ? text : undefined
  } catch {
    return undefined
  }
}
