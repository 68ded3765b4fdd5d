/**
 * The sessions of an object, by id and by address, and their rows. What is in memory is a cache: a
 * miss reads the row. Who wins an identity and what ends with a session is in the hub's `Lifecycle`.
 */
import type { Address } from "@signal-hub/actor-core"
import { type Claims, keptClaims } from "../auth/Claims.ts"
import type { ProtocolMajor } from "../protocol/Version.ts"
import { countOf, type Sql, upsert } from "../object/Sql.ts"
import { fromRow, type StoredValue, toReadableRow } from "../object/StoredValue.ts"
import type { Connection } from "./Connection.ts"
import { InSequence } from "./InSequence.ts"
import type { Session } from "./Session.ts"
import type { Takeovers } from "./Takeover.ts"

const STORE_SESSION = upsert(
  "session",
  ["id"],
  [
    "connection",
    "identity",
    "epoch",
    "major",
    "metadata",
    "connected_at",
    "expiry_seconds",
    "heard_at",
    "grace_until",
    "claims",
    "token_until",
    "resume_token",
    "previous_token",
    "in_seq",
    "out_acked",
    "replayed",
  ],
)

interface IdentityRow {
  readonly epoch: number
  readonly session: string | null
  readonly takeovers: number
  readonly takeovers_since: number
  readonly formerly: string | null
}

/** What is known of an identity when it is claimed. */
export interface IdentityState {
  readonly holder: Session | undefined
  /** The last epoch in which it was claimed; 0 where it never was. */
  readonly epoch: number
  readonly takeovers: Takeovers
  /** The id of the session that held it last, where nobody does. */
  readonly formerly: string | null
}

const NO_TAKEOVERS: Takeovers = { count: 0, since: 0 }

interface SessionRow {
  readonly id: string
  readonly connection: string | null
  readonly identity: Address.Address | null
  readonly epoch: number
  readonly major: number
  readonly metadata: StoredValue
  readonly connected_at: number
  readonly expiry_seconds: number
  readonly heard_at: number
  readonly grace_until: number | null
  readonly claims: string | null
  readonly resume_token: string | null
  readonly previous_token: string | null
  readonly in_seq: number
  readonly out_acked: number
  readonly replayed: number | null
}

interface Storage {
  readonly sql: Sql
  readonly now: () => number
  readonly connection: (id: string) => Connection | undefined
}

export class Sessions {
  readonly #storage: Storage
  readonly #byId = new Map<string, Session>()
  readonly #byIdentity = new Map<string, Session>()
  #count: number | undefined

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** How many there are, those in their grace period included. */
  count(): number {
    this.#count ??= countOf(this.#storage.sql, "SELECT count(*) AS n FROM session")
    return this.#count
  }

  /** Whether there is none. Unlike `count`, it looks at one row at most. */
  get isEmpty(): boolean {
    if (this.#byId.size > 0) return false
    return this.#count === 0 || this.#storage.sql.all("SELECT 1 FROM session LIMIT 1").length === 0
  }

  byId(id: string): Session | undefined {
    const cached = this.#byId.get(id)
    if (cached !== undefined) return cached
    const row = this.#storage.sql.all<SessionRow>("SELECT * FROM session WHERE id = ?", id)[0]
    return row === undefined ? undefined : this.#cache(row)
  }

  /** The session that speaks for the identity, also while it waits in its grace period. */
  byIdentity(identity: Address.Address): Session | undefined {
    const cached = this.#byIdentity.get(identity)
    if (cached !== undefined) return cached
    const row = this.#storage.sql.all<{ session: string }>(
      "SELECT session FROM identity WHERE address = ? AND session IS NOT NULL",
      identity,
    )[0]
    return row === undefined ? undefined : this.byId(row.session)
  }

  /** The session that the connection carries now, or `undefined`: it has none, or an old epoch's. */
  of(connection: Connection): Session | undefined {
    if (connection.sessionId === null) return undefined
    const session = (connection.session ??= this.byId(connection.sessionId))
    if (session === undefined || session.connectionId !== connection.id) return undefined
    session.connection = connection
    return session
  }

  /** The open connection that carries the session now. */
  connectionOf(session: Session): Connection | undefined {
    if (session.connectionId === null) return undefined
    return (session.connection ??= this.#storage.connection(session.connectionId))
  }

  /** Stores a session as it is now. */
  save(session: Session): void {
    this.#storage.sql.run(
      STORE_SESSION,
      session.id,
      session.connectionId,
      session.identity,
      session.epoch,
      session.major,
      toReadableRow(session.metadata),
      session.connectedAt,
      session.expirySeconds,
      session.heardAt,
      session.graceUntil,
      session.claims?.text ?? null,
      session.claims?.expiresAt ?? null,
      session.resumeToken,
      session.previousToken,
      session.incoming.done,
      session.outAcked,
      session.replayed,
    )
    session.incoming.taken = session.incoming.done
    if (this.#count !== undefined && !this.#byId.has(session.id)) this.#count++
    this.#byId.set(session.id, session)
  }

  /** What is known of an identity: who holds it, when it was last claimed. */
  claimOf(identity: Address.Address): IdentityState {
    const row = this.#storage.sql.all<IdentityRow>(
      "SELECT epoch, session, takeovers, takeovers_since, formerly FROM identity WHERE address = ?",
      identity,
    )[0]
    if (row === undefined) return { holder: undefined, epoch: 0, takeovers: NO_TAKEOVERS, formerly: null }
    return {
      holder: row.session === null ? undefined : this.byId(row.session),
      epoch: row.epoch,
      takeovers: { count: row.takeovers, since: row.takeovers_since },
      formerly: row.formerly,
    }
  }

  /** Makes the session the one that speaks for the identity, from this epoch on. */
  setIdentity(session: Session, identity: Address.Address, epoch: number, takeovers: Takeovers): void {
    this.#storage.sql.run(
      `INSERT INTO identity (address, epoch, session, takeovers, takeovers_since) VALUES (?1, ?2, ?3, ?4, ?5)
       ON CONFLICT (address) DO UPDATE
       SET epoch = ?2, session = ?3, takeovers = ?4, takeovers_since = ?5, released_at = NULL, formerly = NULL`,
      identity,
      epoch,
      session.id,
      takeovers.count,
      takeovers.since,
    )
    session.identity = identity
    session.epoch = epoch
    this.save(session)
    this.#byIdentity.set(identity, session)
  }

  /** Stores how far the reliable envelopes of both directions are. */
  saveSequences(session: Session): void {
    const { incoming, outAcked, replayed, id } = session
    incoming.taken = incoming.done
    this.#storage.sql.run(
      "UPDATE session SET in_seq = ?, out_acked = ?, replayed = ? WHERE id = ?",
      incoming.taken,
      outAcked,
      replayed,
      id,
    )
  }

  /** The client has its new resume token: the one before is void. */
  confirmToken(session: Session): void {
    this.#storage.sql.run("UPDATE session SET previous_token = NULL WHERE id = ?", session.id)
    session.previousToken = null
  }

  /** The session goes on, on another connection and in another epoch. */
  resume(session: Session): void {
    if (session.identity !== null) {
      this.#storage.sql.run(
        "UPDATE identity SET epoch = ? WHERE address = ?",
        session.epoch,
        session.identity,
      )
    }
    this.save(session)
  }

  /** From now on these claims hold. */
  setClaims(session: Session, claims: Claims): void {
    this.#storage.sql.run(
      "UPDATE session SET claims = ?, token_until = ? WHERE id = ?",
      claims.text,
      claims.expiresAt,
      session.id,
    )
    session.claims = claims
  }

  /** Connected sessions whose token has expired. */
  tokensOver(now: number): ReadonlyArray<Session> {
    return this.#storage.sql
      .all<SessionRow>("SELECT * FROM session WHERE token_until <= ? LIMIT 1000", now)
      .map((row) => this.#byId.get(row.id) ?? this.#cache(row))
  }

  /**
   * The session lost its connection and waits for another until `graceUntil`. It is served nothing, so
   * that its token may expire.
   */
  detach(session: Session, heardAt: number, graceUntil: number): void {
    this.#storage.sql.run(
      "UPDATE session SET connection = NULL, heard_at = ?, grace_until = ?, token_until = NULL WHERE id = ?",
      heardAt,
      graceUntil,
      session.id,
    )
    session.connectionId = null
    session.connection = undefined
    session.heardAt = heardAt
    session.graceUntil = graceUntil
  }

  /** The session is over: its row goes, and its identity is free unless another has it already. */
  remove(session: Session): void {
    this.#storage.sql.run("DELETE FROM session WHERE id = ?", session.id)
    if (session.identity !== null) {
      this.#storage.sql.run(
        "UPDATE identity SET session = NULL, released_at = ?, formerly = session WHERE address = ? AND session = ?",
        this.#storage.now(),
        session.identity,
        session.id,
      )
      if (this.#byIdentity.get(session.identity) === session) this.#byIdentity.delete(session.identity)
    }
    session.connectionId = null
    session.connection = undefined
    this.#byId.delete(session.id)
    if (this.#count !== undefined) this.#count--
  }

  /** Sessions whose grace period is over. */
  graceOver(now: number): ReadonlyArray<Session> {
    return this.#storage.sql
      .all<SessionRow>("SELECT * FROM session WHERE grace_until <= ? LIMIT 1000", now)
      .map((row) => this.#byId.get(row.id) ?? this.#cache(row))
  }

  /** Sessions that believe to have a connection. Only the sweep asks. */
  attached(): ReadonlyArray<Session> {
    return this.#storage.sql
      .all<SessionRow>("SELECT * FROM session WHERE connection IS NOT NULL")
      .map((row) => this.#byId.get(row.id) ?? this.#cache(row))
  }

  /** Forgets identities that nobody claimed after `before`: no connection can be that old. */
  forgetIdentities(before: number): void {
    this.#storage.sql.run("DELETE FROM identity WHERE released_at <= ?", before)
  }

  #cache(row: SessionRow): Session {
    const session: Session = {
      id: row.id,
      connectionId: row.connection,
      connection: undefined,
      identity: row.identity,
      epoch: row.epoch,
      major: row.major as ProtocolMajor,
      metadata: fromRow(row.metadata) as Session["metadata"],
      connectedAt: row.connected_at,
      expirySeconds: row.expiry_seconds,
      heardAt: row.heard_at,
      graceUntil: row.grace_until,
      claims: row.claims === null ? null : keptClaims(row.claims),
      resumeToken: row.resume_token,
      previousToken: row.previous_token,
      incoming: new InSequence(row.in_seq),
      outAcked: row.out_acked,
      replayed: row.replayed,
      outbox: undefined,
      received: 0,
      receivedSince: this.#storage.now(),
      asked: new Set(),
      answering: new Set(),
      addresses: undefined,
      subscriptions: undefined,
      watches: undefined,
    }
    this.#byId.set(session.id, session)
    if (session.identity !== null) this.#byIdentity.set(session.identity, session)
    return session
  }
}
