/**
 * How far a reader is behind: the bytes sent on its connection that it has not shown to have read. A reader of
 * 1.0 acknowledges bytes, and proves it by the nonces of probes. For one of 0.x the bytes count that were sent
 * since it was last heard.
 */
import type { Probe } from "../protocol/HubMessage.ts"
import type { Limits } from "../protocol/Limits.ts"
import type { Backlog } from "./Backlog.ts"

export type FlowLimits = Pick<
  Limits,
  "pauseThreshold" | "resumeThreshold" | "maxUnacknowledged" | "probeInterval"
>

/** A probe that was sent: what only a client that has read so far can know. */
export interface SentProbe extends Probe {
  /** Bytes that were sent on the connection, the probe's own included. */
  readonly sent: number
}

/** The part of it that outlives memory. */
export interface FlowState {
  /** Bytes of all data frames sent on the connection. */
  readonly sent: number
  /** How many of them count as read. */
  readonly acked: number
  /** Whether the reader fell too far behind, and has not caught up since. */
  readonly slow: boolean
  /** Bytes that were sent up to the last probe that was answered. */
  readonly proven: number
  /** Probes that are not answered, in the order in which they were sent. */
  readonly probes: ReadonlyArray<SentProbe>
  /** When the runtime had answered the last ping that was seen, epoch milliseconds; 0 where none was. */
  readonly pingSeenAt: number
}

/** The effect of an acknowledgment. */
export interface Acknowledged {
  /** Whether it says something new, as it may once for each frame. */
  readonly isNews: boolean
  /** Whether it answers a probe. */
  readonly isProof: boolean
  /** Whether the reader has caught up by it. */
  readonly hasCaughtUp: boolean
}

/** Pause thresholds from which on a slow reader is sent nothing volatile. */
const MAX_VOLATILE_THRESHOLDS = 8

/** Bytes, unacknowledged or waiting, from which on a slow reader is sent nothing volatile. */
const maxVolatile = ({ pauseThreshold }: Pick<Limits, "pauseThreshold">): number =>
  MAX_VOLATILE_THRESHOLDS * pauseThreshold

/** Pause thresholds above which a slow reader's connection ends while the object's backlog is over its limit. */
const LOST_THRESHOLDS_UNDER_PRESSURE = 1.5

/** Most frames that acknowledgments may be for, one each. */
const MAX_FRAMES = 10_000
/** Most probes that are kept: an attachment is small. */
const MAX_PROBES = 16
/** The part of `pauseThreshold` that may be sent before the counters are written down. */
const UNSAVED_PART = 1 / 16

export const NO_FLOW: FlowState = { sent: 0, acked: 0, slow: false, proven: 0, probes: [], pingSeenAt: 0 }

export class Flow {
  sent: number
  acked: number
  slow: boolean
  proven: number
  pingSeenAt: number
  readonly #probes: Array<SentProbe>
  /** Frames sent that no acknowledgment was for yet. In memory only: forgotten, a few acknowledgments count. */
  #frames = 0
  /** Bytes that were sent when the last probe was, or when the last ping was looked for. */
  #checkedAt: number
  readonly #limits: FlowLimits
  /** What is behind all readers of the object together, and this one's part of it. */
  readonly #backlog: Backlog
  #part = 0
  /** Bytes of volatile envelopes that wait for what is replayed before them. */
  #held = 0

  constructor(limits: FlowLimits, state: FlowState, backlog: Backlog) {
    this.#limits = limits
    this.#backlog = backlog
    this.sent = state.sent
    this.acked = state.acked
    this.slow = state.slow
    this.proven = state.proven
    this.pingSeenAt = state.pingSeenAt
    this.#probes = [...state.probes]
    this.#checkedAt = this.#probes.at(-1)?.sent ?? state.proven
    this.#share()
  }

  get probes(): ReadonlyArray<SentProbe> {
    return this.#probes
  }

  get unacknowledged(): number {
    return this.sent - this.acked
  }

  /** Whether it is so far behind that its connection must end. */
  get isLost(): boolean {
    const { maxUnacknowledged, pauseThreshold } = this.#limits
    const { unacknowledged } = this
    if (unacknowledged > maxUnacknowledged) return true
    return (
      this.slow && this.#backlog.isOver && unacknowledged > LOST_THRESHOLDS_UNDER_PRESSURE * pauseThreshold
    )
  }

  /**
   * Whether so much waits for it that nothing volatile is sent to it from one to one. Where too much waits for all
   * readers together, whoever is behind at all gets no more.
   */
  get isFull(): boolean {
    const behind = this.#behind
    return (
      behind >= maxVolatile(this.#limits) || (behind > this.#limits.pauseThreshold && this.#backlog.isFull)
    )
  }

  /** Bytes that wait for it: held back, and where it is slow not read. */
  get #behind(): number {
    return this.#held + (this.slow ? this.unacknowledged : 0)
  }

  /** Says what of the object's backlog is its own. */
  #share(): void {
    const part = Math.max(0, this.#behind - this.#limits.pauseThreshold)
    if (part === this.#part) return
    this.#backlog.change(part - this.#part)
    this.#part = part
  }

  /** So many bytes more wait for what is replayed before them; below 0: fewer. */
  hold(bytes: number): void {
    this.#held += bytes
    this.#share()
  }

  /** Its socket is gone, with all that waited. */
  end(): void {
    this.#backlog.change(-this.#part)
    this.#part = 0
  }

  /** Bytes that may be sent before the counters are written down: an eviction forgets no more. */
  get maxUnsaved(): number {
    return this.#limits.pauseThreshold * UNSAVED_PART
  }

  /** Bytes after which the reader must show that it reads. */
  get #interval(): number {
    return Math.max(this.#limits.probeInterval, this.#limits.maxUnacknowledged / MAX_PROBES)
  }

  /** Whether a probe is due, or a look for pings, before so many bytes more are sent. */
  isCheckDue(bytes: number): boolean {
    return this.sent + bytes - this.#checkedAt > this.#interval
  }

  /** A probe of so many bytes was sent. */
  probed(nonce: string, bytes: number): void {
    this.sent += bytes
    this.#probes.push({ nonce, sent: this.sent })
    this.#checkedAt = this.sent
    this.#share()
  }

  /** This much was sent. Gives whether the reader, one of 1.0, is slow from now on. */
  count(bytes: number): boolean {
    this.sent += bytes
    if (this.#frames < MAX_FRAMES) this.#frames++
    const isSlowNow = !this.slow && this.unacknowledged > this.#limits.pauseThreshold
    if (isSlowNow) this.slow = true
    if (this.slow) this.#share()
    return isSlowNow
  }

  /** Whether the reader says to have more than it was sent: more than an eviction can have forgotten. */
  isOverstated(bytes: number): boolean {
    return bytes > this.sent + this.maxUnsaved
  }

  /**
   * The reader says to have this much in all, and which probe it has read last. Counts at most one interval
   * beyond that probe.
   */
  acknowledge(bytes: number, nonce?: string): Acknowledged {
    const answered = nonce === undefined ? -1 : this.#probes.findIndex((probe) => probe.nonce === nonce)
    if (answered >= 0) this.proven = this.#probes.splice(0, answered + 1).at(-1)!.sent
    const counted = Math.min(bytes, this.proven + this.#interval)
    const isNews = counted > this.acked && this.#frames > 0
    if (isNews) this.#frames = counted < this.sent ? this.#frames - 1 : 0
    this.acked = Math.max(this.acked, counted)
    // It knows better than what was written down here before the last eviction.
    this.sent = Math.max(this.sent, this.acked)
    const hasCaughtUp = this.slow && this.unacknowledged < this.#limits.resumeThreshold
    if (hasCaughtUp) this.slow = false
    this.#share()
    return { isNews, isProof: answered >= 0, hasCaughtUp }
  }

  /** This much was sent to a reader that acknowledges nothing. */
  countUnheard(bytes: number): void {
    this.sent += bytes
  }

  /** Something came from a reader that acknowledges nothing. */
  heard(): void {
    this.acked = this.sent
    this.proven = this.sent
    this.#checkedAt = this.sent
  }

  /** When the runtime last answered a ping of a reader that acknowledges nothing. A new one is a sign of it. */
  look(pingedAt: number): void {
    this.#checkedAt = this.sent
    if (pingedAt === this.pingSeenAt) return
    this.pingSeenAt = pingedAt
    this.acked = this.sent
  }
}
