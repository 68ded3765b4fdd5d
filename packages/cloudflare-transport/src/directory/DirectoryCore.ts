/**
 * A shard of the directory, sans I/O: who is registered, for those who look for others, and who holds an
 * address beside its identity. Identities are reached without it. What it says of a lease is what the
 * holder said last; where that is over, the holder is asked again.
 */
import { type Address, AddressPattern, messageId } from "@signal-hub/actor-core"
import { mayDiscover, maySend } from "../auth/Authorization.ts"
import { type Claims, keptClaims } from "../auth/Claims.ts"
import { fitting, ROWS_A_PAGE, ROWS_A_READ } from "../hub/features/Pages.ts"
import { literalPrefix } from "../hub/features/Registry.ts"
import { Watches } from "../hub/features/Watches.ts"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import { type ActorEntry, HUB_ADDRESS, type TerminatedReason } from "../protocol/HubMessage.ts"
import { Entries, entryOf, type EntryRow, isMeant } from "./Entries.ts"
import { Lanes } from "../delivery/Lanes.ts"
import { MAX_CONCURRENT_CALLS, type ServicePort } from "../delivery/ServicePort.ts"
import { type Notice, Notices } from "../delivery/Notices.ts"
import { Pending, whenAll } from "../delivery/Pending.ts"
import {
  type BroadcastResult,
  type BroadcastSlice,
  CallFailed,
  type Claimed,
  type Delivery,
  type DirectoryOp,
  type DirectoryPage,
  type DirectoryQuery,
  type Outcome,
} from "../delivery/Rpc.ts"

export class DirectoryCore {
  readonly #port: ServicePort
  readonly #entries: Entries
  readonly #leases: Lanes<Address.Address, number | null>
  readonly #copies: Lanes<Delivery, Outcome>
  readonly #watches: Watches
  readonly #notices: Notices
  /** Addresses that are being claimed, and whether one became an identity meanwhile. */
  readonly #claims = new Map<string, { identified: boolean }>()

  constructor(port: ServicePort) {
    this.#port = port
    this.#entries = new Entries(port.sql)
    this.#watches = new Watches(port.sql)
    const noticesPort = {
      ...port,
      announce: (task: () => void) => task(),
      atLatest: () => this.#rearm(),
      idle: () => this.#rearm(),
    }
    this.#notices = new Notices(noticesPort, (notice, done) => this.#tell(notice, done))
    const bounds = {
      defer: port.defer,
      maxItems: 256,
      maxWaiting: Number.POSITIVE_INFINITY,
      maxWaitingBytes: Number.POSITIVE_INFINITY,
      maxCalls: MAX_CONCURRENT_CALLS,
    }
    this.#leases = new Lanes({
      ...bounds,
      call: (holder, addresses, done) => port.call("address", holder, "leases", [addresses], true, done),
    })
    const caller = { home: HUB_ADDRESS, claims: null }
    this.#copies = new Lanes({
      ...bounds,
      call: (holder, deliveries, done) =>
        port.call("address", holder, "deliver", [{ caller, deliveries }], false, done),
    })
  }

  /** The last claim wins, unless the address is an identity: whose gateway knows. */
  claim(
    entry: ActorEntry,
    holder: Address.Address,
    done: (claimed: Claimed | null | CallFailed) => void,
  ): void {
    const { address } = entry
    if (this.#entries.find(address)?.holder === holder) return done(this.#give(entry, holder))
    const claim = { identified: false }
    this.#claims.set(address, claim)
    this.#port.call("address", address, "hasSession", [], true, (hasSession) => {
      if (this.#claims.get(address) === claim) this.#claims.delete(address)
      if (hasSession instanceof CallFailed) done(hasSession)
      else done(hasSession !== false || claim.identified ? null : this.#give(entry, holder))
    })
  }

  holder(address: Address.Address): Address.Address | null {
    return this.#entries.find(address)?.holder ?? null
  }

  watch(target: Address.Address, watcher: Address.Address): boolean {
    const row = this.#entries.find(target)
    // An identity's own registration is watched at its gateway.
    if (row === undefined || row.holder === target) return false
    this.#watches.addWatcher(target, watcher)
    return true
  }

  unwatch(target: Address.Address, watcher: Address.Address): void {
    this.#watches.removeWatcher(target, watcher)
  }

  /** Puts and takes entries. What is older than what is known has no effect. */
  apply(ops: ReadonlyArray<DirectoryOp>): void {
    this.#port.sql.transaction(() => {
      for (const op of ops) {
        if (op.do === "put") this.#put(op.entry, op.holder)
        else if (op.do === "remove") this.#remove(op.address, op.holder, op.reason)
        else if (op.do === "identified") this.#identified(op.address)
      }
    })
  }

  /** The alarm came: tells again what was not heard. */
  alarm(): void {
    this.#notices.retry()
    this.#rearm()
  }

  page(query: DirectoryQuery, done: (page: DirectoryPage) => void): void {
    const { limit, capabilities: wanted } = query
    const pattern = AddressPattern.compile(query.pattern)
    const claims = readClaims(query.claims)
    const prefix = pattern.matchesAll ? "" : literalPrefix(pattern)
    const found: Array<EntryRow> = []
    let looked = 0
    let last = query.after
    let next: string | null | undefined
    while (next === undefined) {
      // One more than is wanted, which tells whether there is more.
      const room = Math.min(ROWS_A_PAGE - looked, Math.max(limit - found.length + 1, ROWS_A_READ))
      const rows = this.#entries.after(prefix, last, room)
      for (const row of rows) {
        looked++
        const isFound = isMeant(row, pattern, wanted) && mayDiscover(claims, row.address)
        if (isFound && found.length === limit) {
          next = found.at(-1)!.address
          break
        }
        if (isFound) found.push(row)
        last = row.address
      }
      if (next === undefined && rows.length < room) next = null
      else if (next === undefined && looked >= ROWS_A_PAGE) next = last
    }
    const end = next
    this.#live(found, (live) => {
      const entries = fitting(live, this.#port.limits)
      const isCut = entries.length < live.length
      done({ entries, next: isCut ? entries.at(-1)!.address : end, looked })
    })
  }

  count(): number {
    return this.#entries.count()
  }

  /** Sends the copies of one slice, those for one holder together. */
  broadcast(slice: BroadcastSlice, done: (result: BroadcastResult) => void): void {
    const { envelope, after } = slice
    const { broadcastSlice } = this.#port.limits
    const pattern = slice.pattern === null ? undefined : AddressPattern.compile(slice.pattern)
    const prefix = pattern === undefined || pattern.matchesAll ? "" : literalPrefix(pattern)
    const wanted = slice.capability === null ? [] : [slice.capability]
    const claims = readClaims(slice.claims)
    const rows = this.#entries.after(prefix, after, broadcastSlice + 1)
    const looked = rows.slice(0, broadcastSlice)
    const meant = looked.filter(
      (row) => row.holder !== slice.except && isMeant(row, pattern, wanted) && maySend(claims, row.address),
    )
    const sending = meant.map(({ address, holder }) => {
      const delivered = new Pending<boolean>()
      const delivery = { envelope: { ...envelope, id: messageId(), to: address } }
      this.#copies.push(holder, delivery, (outcome) => {
        const isTaken = !(outcome instanceof CallFailed) && outcome.status === "taken"
        if (!isTaken && !(outcome instanceof CallFailed)) this.#refused(address, holder, outcome)
        delivered.settle(isTaken)
      })
      return delivered
    })
    whenAll(sending, (results) => {
      const delivered = results.filter(Boolean).length
      const next = rows.length > broadcastSlice ? looked.at(-1)!.address : null
      done({ delivered, failed: results.length - delivered, next, looked: looked.length })
    })
  }

  /** Who says that it has no such address holds it no more. */
  #refused(address: Address.Address, holder: Address.Address, outcome: Outcome): void {
    const isGone =
      outcome.status === "elsewhere" || (outcome.status === "refused" && outcome.code === "unknown_actor")
    if (isGone) this.#remove(address, holder, "expired")
  }

  /** The entries that live: of those whose lease is over as far as is known, the holder knows more. */
  #live(rows: ReadonlyArray<EntryRow>, done: (entries: ReadonlyArray<ActorEntry>) => void): void {
    const now = this.#port.now()
    const checked = rows.map((row) => {
      const until = new Pending<number | null>()
      if (row.expires_at > now) until.settle(row.expires_at)
      else this.#leases.push(row.holder, row.address, (lease) => until.settle(this.#renewed(row, lease)))
      return until
    })
    whenAll(checked, (leases) =>
      done(
        rows.flatMap((row, at) => {
          const expiresAt = leases[at]!
          return expiresAt === null ? [] : [entryOf(row, expiresAt)]
        }),
      ),
    )
  }

  #renewed({ address, holder }: EntryRow, lease: number | null | CallFailed): number | null {
    // Who does not answer may be back: not shown, but kept.
    if (lease instanceof CallFailed) return null
    if (lease === null) this.#remove(address, holder, "expired")
    else this.#entries.renew(address, holder, lease)
    return lease
  }

  /** Gives the address to the holder; who had it is told. */
  #give(entry: ActorEntry, holder: Address.Address): Claimed {
    const before = this.#entries.find(entry.address)
    const version = (before?.version ?? 0) + 1
    this.#port.sql.transaction(() => {
      if (before !== undefined && before.holder !== holder) this.#lost(before)
      this.#entries.put({ ...entry, version }, holder)
    })
    return { version }
  }

  /** Identities are their gateways' to put; others only who was given them. */
  #put(entry: ActorEntry, holder: Address.Address): void {
    const before = this.#entries.find(entry.address)
    if (before?.holder === holder ? before.version > entry.version : holder !== entry.address) return
    if (before !== undefined && before.holder !== holder) this.#lost(before)
    this.#entries.put(entry, holder)
  }

  #remove(address: Address.Address, holder: Address.Address, reason: TerminatedReason): void {
    if (this.#entries.find(address)?.holder !== holder) return
    this.#entries.delete(address)
    this.#terminated(address, reason)
  }

  #identified(address: Address.Address): void {
    const claim = this.#claims.get(address)
    if (claim !== undefined) claim.identified = true
    const row = this.#entries.find(address)
    if (row === undefined || row.holder === address) return
    this.#entries.delete(address)
    this.#lost(row)
  }

  /** Another has the address now: who held it hears, and who watched it. */
  #lost({ address, holder }: EntryRow): void {
    if (holder !== address) {
      const payload = { actorAddress: address, reason: "superseded" }
      const envelope = hubEnvelope("hub:unregistered", holder, payload, this.#port.now())
      this.#notices.put({ do: "deliver", at: holder, envelope })
    }
    this.#terminated(address, "superseded")
  }

  #terminated(address: Address.Address, reason: TerminatedReason): void {
    const payload = { actorAddress: address, reason }
    for (const watcher of this.#watches.take(address)) {
      const envelope = hubEnvelope("hub:terminated", watcher, payload, this.#port.now())
      this.#notices.put({ do: "deliver", at: watcher, envelope })
    }
  }

  #tell(notice: Notice, done: (heard: boolean) => void): void {
    if (notice.do !== "deliver") return done(true)
    const { at, envelope } = notice
    const batch = { caller: { home: HUB_ADDRESS, claims: null }, deliveries: [{ envelope }] }
    this.#port.call("address", at, "deliver", [batch], true, (outcomes) =>
      done(!(outcomes instanceof CallFailed)),
    )
  }

  #rearm(): void {
    this.#port.setAlarm(this.#notices.dueAt() ?? null)
  }
}

const readClaims = (text: string | null): Claims | null => (text === null ? null : keptClaims(text))
