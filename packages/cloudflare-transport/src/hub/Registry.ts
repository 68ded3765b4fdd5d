/** The registrations of a hub: which session holds which address, with its tags, metadata and lease. */
import { Address, type AddressPattern } from "@signal-hub/actor-core"
import { sameSecret } from "../auth/SecretText.ts"
import type { ActorEntry } from "../protocol/HubMessage.ts"
import type { Limits } from "../protocol/Limits.ts"
import { leaseUntil, sessionHeard } from "../session/Liveness.ts"
import type { Session } from "../session/Session.ts"
import type { Sessions } from "../session/Sessions.ts"
import { countOf, type Sql } from "../storage/Sql.ts"

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
  readonly metadata: string
  readonly ttl_seconds: number
  readonly registered_at: number
  readonly version: number
  readonly renewal_token: string
}

const fromRow = (row: RegistrationRow): Registration => ({
  address: row.address,
  sessionId: row.session,
  capabilities: JSON.parse(row.capabilities),
  metadata: JSON.parse(row.metadata),
  ttlSeconds: row.ttl_seconds,
  registeredAt: row.registered_at,
  version: row.version,
  renewalToken: row.renewal_token,
})

/** Addresses without a row that are remembered. */
const MOST_ABSENT = 1_000

export class Registry {
  readonly #sql: Sql
  readonly #limits: Limits
  readonly #sessions: Sessions
  readonly #cache = new Map<string, Registration>()
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
    this.#cache.set(address, registration)
    return registration
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

  /** Until when the registration holds, if nothing more is heard. */
  expiresAt(registration: Registration, session: Session, now: number): number {
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
      `INSERT OR REPLACE INTO registration
       (address, session, capabilities, metadata, ttl_seconds, registered_at, version, renewal_token)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      registration.address,
      registration.sessionId,
      JSON.stringify(registration.capabilities),
      JSON.stringify(registration.metadata),
      registration.ttlSeconds,
      registration.registeredAt,
      registration.version,
      registration.renewalToken,
    )
    this.#cache.set(registration.address, registration)
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
   * addresses, looking at no more than `scan` rows. `next` is the address to go on after, `undefined`
   * at the end; where `limit` were found and there are more, it is the last of them.
   */
  page(
    prefix: string,
    after: string,
    limit: number,
    scan: number,
    now: number,
    matches: (registration: Registration) => boolean,
  ): { readonly found: ReadonlyArray<Registration>; readonly next: string | undefined } {
    const rows = this.#sql.all<RegistrationRow>(
      "SELECT * FROM registration WHERE address > ? AND address >= ? AND address < ? ORDER BY address LIMIT ?",
      after,
      prefix,
      `${prefix}\x7f`,
      scan + 1,
    )
    const found: Array<Registration> = []
    let last = after
    let more = rows.length > scan
    for (const row of rows.slice(0, scan)) {
      const registration = this.#cache.get(row.address) ?? fromRow(row)
      if (matches(registration) && this.#isLive(registration, now)) {
        if (found.length === limit) {
          more = true
          break
        }
        found.push(registration)
      }
      last = row.address
    }
    if (!more) return { found, next: undefined }
    return { found, next: found.length === limit ? found.at(-1)?.address : last }
  }

  /** `limit` registrations from the `offset`th, in the order of addresses. */
  slice(offset: number, limit: number, now: number): ReadonlyArray<Registration> {
    return this.#sql
      .all<RegistrationRow>("SELECT * FROM registration ORDER BY address LIMIT ? OFFSET ?", limit, offset)
      .map(fromRow)
      .filter((registration) => this.#isLive(registration, now))
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

  #isLive(registration: Registration, now: number): boolean {
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
