/**
 * A topic, sans I/O: who is subscribed, and the way of a publication to all of them. One object has a
 * bounded number of members itself; when it is full, further members go to objects below it, by their
 * hash, and so on: no object makes more calls than it may, and each publication takes few steps to all.
 *
 * A member that is not subscribed any more says so when it is next delivered to, and is forgotten.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { fitting } from "../hub/features/Pages.ts"
import { diffFor, Presence } from "../hub/features/Presence.ts"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import { HUB_ADDRESS, type PresenceDiff, type PresenceMember } from "../protocol/HubMessage.ts"
import { fromRow, type StoredValue, toReadableRow } from "../object/StoredValue.ts"
import { Lanes } from "../delivery/Lanes.ts"
import { MAX_CONCURRENT_CALLS, type ServicePort } from "../delivery/ServicePort.ts"
import { type Coming, Pending, whenAll } from "../delivery/Pending.ts"
import {
  CallFailed,
  type Delivery,
  type MembersPage,
  type Outcome,
  type TopicMember,
  type TopicOp,
  type TopicResult,
} from "../delivery/Rpc.ts"
import { hashOf } from "../delivery/Shards.ts"
import { upsert } from "../object/Sql.ts"

const STORE_BELOW = upsert("below", ["branch"], ["listens"])

const STORE_MEMBER = upsert("member", ["owner"], ["presence", "metadata", "connected"])

/** Milliseconds that a publisher waits for its count: those not reached by then are in line. */
const PATIENCE = 200

interface Member extends TopicMember {
  isConnected: boolean
  /** Goes up with every join: what was sent before says nothing of the one after. */
  joins: number
}

interface MemberRow {
  readonly owner: Address.Address
  readonly presence: number
  readonly metadata: StoredValue
  readonly connected: number
}

interface Below {
  /** Whether somebody there wants to hear of joins and leaves. */
  listens: boolean
  /** Operations on their way there. */
  ops: number
}

export class TopicCore {
  readonly #port: ServicePort
  readonly #topic: string
  /** How many objects are above this one. */
  readonly #depth: number
  readonly #members = new Map<Address.Address, Member>()
  readonly #below = new Map<number, Below>()
  readonly #out: Lanes<Delivery | TopicOp, Outcome | TopicResult>
  /** Joins and leaves that the topmost object tells. */
  readonly #presence: Presence

  constructor(port: ServicePort) {
    this.#port = port
    const [topic, ...branches] = port.name.split("#")
    this.#topic = topic!
    this.#depth = branches.length
    this.#presence = new Presence(() => {
      port.later(port.limits.presenceWindow, () => {
        for (const diff of this.#presence.drain()) this.#tellDiff(diff)
      })
    })
    this.#out = new Lanes({
      defer: port.defer,
      maxItems: 256,
      maxWaiting: port.limits.maxLane,
      maxWaitingBytes: port.limits.maxOutboxBytes,
      maxCalls: MAX_CONCURRENT_CALLS,
      call: (target, items, done) => {
        if (!target.startsWith("@(")) {
          const ops = items as ReadonlyArray<TopicOp>
          const isSafe = ops.every((op) => op.do !== "publish" && op.do !== "diff")
          return port.call("topic", target, "apply", [ops], isSafe, done)
        }
        const caller = { home: HUB_ADDRESS, claims: null }
        const deliveries = items as ReadonlyArray<Delivery>
        port.call("address", target, "deliver", [{ caller, deliveries }], false, done)
      },
    })
    for (const row of port.sql.all<MemberRow>("SELECT * FROM member ORDER BY owner")) {
      const { connected, owner, presence, metadata } = row
      this.#members.set(owner, {
        owner,
        presence: presence === 1,
        isConnected: connected === 1,
        metadata: fromRow(metadata) as TopicMember["metadata"],
        joins: 0,
      })
    }
    const below = port.sql.all<{ branch: number; listens: number }>("SELECT * FROM below")
    for (const { branch, listens } of below) this.#below.set(branch, { listens: listens === 1, ops: 0 })
  }

  /** Does the operations, in order; `done` is told their results when the last is there. */
  apply(ops: ReadonlyArray<TopicOp>, done: (results: ReadonlyArray<TopicResult>) => void): void {
    const isEmpty = (result: TopicResult): TopicResult => ({ ...result, isEmpty: this.#isEmpty })
    whenAll(
      ops.map((op) => this.#applyOne(op)),
      (results) => done(results.map(isEmpty)),
    )
  }

  /** The alarm came: nobody was on the topic for long, unless somebody came since. */
  alarm(): void {
    if (this.#isEmpty) this.#port.forget()
  }

  /** Members after a cursor, those of this object first, then those below. A page may be short. */
  members(cursor: string, limit: number, done: (page: MembersPage | CallFailed) => void): void {
    const [path, after] = splitOnce(cursor, "|")
    if (path !== "") return this.#membersBelow(path, after, limit, done)
    const rows = [...this.#members.values()]
      .filter(({ owner }) => owner > after)
      .toSorted((a, b) => (a.owner < b.owner ? -1 : 1))
    const page = fitting(rows.slice(0, limit).map(asSeen), this.#port.limits)
    const next = rows.length > page.length ? `|${page.at(-1)!.actorAddress}` : this.#branchAfter(-1)
    done({ members: page, next })
  }

  #applyOne(op: TopicOp): Coming<TopicResult> {
    const result = new Pending<TopicResult>()
    if (op.do === "join") this.#join(op.member, result)
    else if (op.do === "leave") this.#leave(op.owner, result)
    else if (op.do === "connection") this.#connection(op, result)
    else if (op.do === "publish") this.#publish(op.envelope, result)
    else {
      // Newer code may say what this one does not know.
      if (op.do === "diff") this.#spreadDiff(op.diff)
      result.settle({ count: 0 })
    }
    return result
  }

  #join(member: TopicMember, result: Pending<TopicResult>): void {
    const { owner, presence, metadata, isConnected = true } = member
    const known = this.#members.get(owner)
    const isFull = this.#members.size >= this.#port.limits.topicNodeSize || this.#below.size > 0
    if (known === undefined && isFull) return this.#pass({ do: "join", member }, owner, presence, result)
    this.#port.sql.run(STORE_MEMBER, owner, Number(presence), toReadableRow(metadata), Number(isConnected))
    this.#members.set(owner, { ...member, isConnected, joins: (known?.joins ?? 0) + 1 })
    if (known === undefined) this.#changed("joined", member, result)
    else if (known.isConnected !== isConnected) this.#changed("updated", member, result)
    else result.settle({ count: 1 })
  }

  #connection(op: Extract<TopicOp, { do: "connection" }>, result: Pending<TopicResult>): void {
    const { isConnected, owner } = op
    const known = this.#members.get(owner)
    if (known !== undefined && known.isConnected !== isConnected) {
      this.#port.sql.run("UPDATE member SET connected = ? WHERE owner = ?", Number(isConnected), owner)
      known.isConnected = isConnected
      return this.#changed("updated", known, result)
    }
    if (known === undefined && this.#below.has(this.#branchOf(owner))) {
      return this.#pass(op, owner, false, result)
    }
    result.settle({ count: 0 })
  }

  #leave(owner: Address.Address, result: Pending<TopicResult>): void {
    const known = this.#members.get(owner)
    if (known !== undefined) {
      this.#forget(owner)
      return this.#changed("left", known, result)
    }
    if (this.#below.has(this.#branchOf(owner))) {
      return this.#pass({ do: "leave", owner }, owner, false, result)
    }
    result.settle({ count: 0 })
  }

  /** Gives it to the object below that has the owner. */
  #pass(op: TopicOp, owner: Address.Address, listens: boolean, result: Pending<TopicResult>): void {
    const branch = this.#branchOf(owner)
    const below = this.#below.get(branch) ?? { listens: false, ops: 0 }
    if (!this.#below.has(branch) || (listens && !below.listens)) {
      // Before it is there: an object too many is looked at, never one too few.
      this.#port.sql.run(STORE_BELOW, branch, Number(below.listens || listens))
      below.listens ||= listens
      this.#below.set(branch, below)
    }
    below.ops++
    this.#out.push(this.#nameOf(branch), op, (outcome) => {
      below.ops--
      const passed = outcome instanceof CallFailed ? { count: 0 } : (outcome as TopicResult)
      this.#prune(branch, passed)
      const { count, isUpdate, news } = passed
      if (news === undefined) return result.settle({ count })
      const change = isUpdate === true ? "updated" : op.do === "join" ? "joined" : "left"
      this.#changed(change, news, result)
    })
  }

  /** Somebody came or went: the topmost object tells, others tell it. */
  #changed(change: "joined" | "left" | "updated", news: TopicMember, result: Pending<TopicResult>): void {
    const isHeard = [...this.#below.values()].some(({ listens }) => listens) || this.#hasListeners
    const isUpdate = change === "updated"
    if (this.#depth === 0 && isHeard) {
      const { actorAddress, isConnected, metadata } = asSeen(news)
      if (isUpdate) this.#presence.update(this.#topic, { actorAddress, isConnected })
      else this.#presence.note(this.#topic, change, { actorAddress, metadata })
    }
    result.settle({ count: change === "left" ? 0 : 1, news, ...(isUpdate && { isUpdate }) })
  }

  #publish(envelope: Envelope.Envelope, result: Pending<TopicResult>): void {
    let count = 0
    let open = 0
    const arrived = (got: number): void => {
      open--
      count += got
      if (open === 0) result.settle({ count })
    }
    for (const member of this.#members.values()) {
      open++
      this.#send(member, { ...envelope, to: member.owner }, arrived)
    }
    for (const branch of this.#below.keys()) {
      open++
      this.#out.push(this.#nameOf(branch), { do: "publish", envelope }, (outcome) => {
        const published = outcome instanceof CallFailed ? { count: 0 } : (outcome as TopicResult)
        this.#prune(branch, published)
        arrived(published.count)
      })
    }
    if (open === 0) return result.settle({ count: 0 })
    const cancel = this.#port.later(PATIENCE, () => result.settle({ count: count + open }))
    result.whenDone(cancel)
  }

  #send(member: Member, envelope: Envelope.Envelope, done: (got: number) => void): void {
    const { owner, joins } = member
    this.#out.push(owner, { envelope, topic: this.#topic }, (outcome) => {
      if (outcome instanceof CallFailed) return done(0)
      const { status, code } = outcome as { readonly status: string; readonly code?: string }
      const isOver = code === "not_subscribed" && this.#members.get(owner)?.joins === joins
      if (isOver) {
        this.#forget(owner)
        this.#changed("left", member, new Pending())
      }
      done(status === "taken" ? 1 : 0)
    })
  }

  #tellDiff(diff: PresenceDiff): void {
    this.#spreadDiff(diff)
  }

  #spreadDiff(diff: PresenceDiff): void {
    for (const member of this.#members.values()) {
      const seen = member.presence ? diffFor(diff, member.owner) : undefined
      if (seen === undefined) continue
      const envelope = hubEnvelope("hub:presence_diff", member.owner, seen, this.#port.now())
      this.#send(member, envelope, () => {})
    }
    for (const [branch, { listens }] of this.#below) {
      if (listens) this.#out.push(this.#nameOf(branch), { do: "diff", diff }, () => {})
    }
  }

  #membersBelow(
    path: string,
    after: string,
    limit: number,
    done: (page: MembersPage | CallFailed) => void,
  ): void {
    const [head, rest] = splitOnce(path, ".")
    const branch = Number(head)
    const cursor = `${rest}|${after}`
    this.#port.call("topic", this.#nameOf(branch), "members", [cursor, limit], true, (page) => {
      if (page instanceof CallFailed) return done(page)
      if (page.next === null) return done({ members: page.members, next: this.#branchAfter(branch) })
      const [below, last] = splitOnce(page.next, "|")
      done({ members: page.members, next: `${head}${below === "" ? "" : `.${below}`}|${last}` })
    })
  }

  #branchAfter(branch: number): string | null {
    const next = [...this.#below.keys()].filter((one) => one > branch).toSorted((a, b) => a - b)[0]
    return next === undefined ? null : `${next}|`
  }

  #forget(owner: Address.Address): void {
    this.#port.sql.run("DELETE FROM member WHERE owner = ?", owner)
    this.#members.delete(owner)
    this.#tidy()
  }

  /** Nobody is left below: looked at when nothing is on its way there that may bring somebody. */
  #prune(branch: number, { isEmpty }: TopicResult): void {
    if (isEmpty !== true || this.#below.get(branch)?.ops !== 0) return
    this.#port.sql.run("DELETE FROM below WHERE branch = ?", branch)
    this.#below.delete(branch)
    this.#tidy()
  }

  /** There are as many topics as there ever were names: one that nobody comes back to keeps nothing. */
  #tidy(): void {
    if (this.#isEmpty) this.#port.setAlarm(this.#port.now() + this.#port.limits.identityKeptFor)
  }

  #branchOf(owner: Address.Address): number {
    return hashOf(`${this.#depth}:${owner}`) % this.#port.limits.topicNodeSize
  }

  #nameOf(branch: number): string {
    return `${this.#port.name}#${branch}`
  }

  get #isEmpty(): boolean {
    return this.#members.size === 0 && this.#below.size === 0
  }

  get #hasListeners(): boolean {
    for (const { presence } of this.#members.values()) if (presence) return true
    return false
  }
}

const asSeen = ({ owner, metadata, isConnected = true }: TopicMember): PresenceMember => ({
  actorAddress: owner,
  metadata,
  isConnected,
})

const splitOnce = (text: string, separator: string): [string, string] => {
  const at = text.indexOf(separator)
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)]
}
