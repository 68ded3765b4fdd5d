/** A socket of the test host: what was sent on it, and the attachment that outlives memory. */
import { type Address, type Codec, Envelope, JsonCodec } from "@signal-hub/actor-core"
import { hubEnvelope } from "../../src/protocol/HubEnvelope.ts"
import type { Limits } from "../../src/protocol/Limits.ts"
import type { Connection } from "../../src/session/Connection.ts"
import type { Backlog } from "../../src/session/Backlog.ts"
import { Flow, type FlowState, NO_FLOW } from "../../src/session/Flow.ts"
import { judgeFromHub } from "./judgeFromHub.ts"
import { type Encoded, framesOf, sizeOf } from "../../src/session/OutgoingFrames.ts"
import { fullBucket, RateBucket, type RateState } from "../../src/session/RateBucket.ts"

type Kept = Pick<
  Connection,
  | "state"
  | "sessionId"
  | "major"
  | "strikes"
  | "failures"
  | "heardAt"
  | "claims"
  | "received"
  | "isAnonymous"
  | "positions"
> &
  RateState &
  FlowState

const isSayable = (limits: Limits): boolean => !Object.values(limits).includes(Infinity)

/** Told of what a flush could not encode. */
export type Failed = (connection: Connection, envelope: Envelope.Envelope, error: unknown) => void

export class TestSocket {
  readonly id: string
  readonly codec: Codec
  readonly openedAt: number
  /** What was sent and not yet taken by the test. */
  readonly sent: Array<Envelope.Envelope> = []
  /** Bytes that were sent on it in all. */
  received = 0
  isOpen = true
  /** How the hub closed it. */
  close: { readonly code: number; readonly reason: string } | undefined
  pingedAt = 0
  readonly #limits: Limits
  #attachment: string

  /** The nonce of the last probe that came, until it is acknowledged. */
  nonce: string | undefined

  constructor(id: string, limits: Limits, now: number, claims: string | null, codec: Codec = JsonCodec) {
    this.id = id
    this.codec = codec
    this.openedAt = now
    this.#limits = limits
    const fresh: Kept = {
      state: "connecting",
      sessionId: null,
      major: null,
      strikes: 0,
      failures: 0,
      heardAt: now,
      claims,
      received: 0,
      isAnonymous: false,
      positions: { count: 0, addresses: [] },
      ...fullBucket(limits, now),
      ...NO_FLOW,
    }
    this.#attachment = JSON.stringify(fresh)
  }

  /** A connection as it is after hibernation: from the attachment alone. `markDirty` gets its flush. */
  wake(
    markDirty: (connection: Connection, flush: () => void) => void,
    failed: Failed,
    addressOf: (connection: Connection) => Address.Address,
    backlog: Backlog,
  ): Connection {
    let line: Array<Encoded | undefined> = []
    const flush = (): void => {
      const encoded = line
      line = []
      this.#flush(connection, encoded, failed, addressOf)
    }
    const kept = JSON.parse(this.#attachment) as Kept
    const connection: Connection = {
      ...kept,
      rate: new RateBucket(this.#limits, kept),
      flow: new Flow(this.#limits, kept, backlog),
      id: this.id,
      codec: this.codec,
      frame: undefined,
      openedAt: this.openedAt,
      session: undefined,
      outgoing: [],
      parked: null,
      replies: null,
      pingedAt: () => this.pingedAt,
      send: (envelope, encoded) => {
        if (encoded !== undefined) line[connection.outgoing.length] = encoded
        // A test's limits may be infinite, which no frame can say.
        const said = envelope.type === "hub:connected" ? JSON.parse(JSON.stringify(envelope)) : envelope
        if (connection.outgoing.push(said) === 1) markDirty(connection, flush)
      },
      save: () => {
        const { state, sessionId, major, strikes, failures, heardAt, claims, received, rate, flow } =
          connection
        const { isAnonymous, positions } = connection
        const { tokens, bytes, claimedRates, filledAt, refusals, refusedSince } = rate
        const { sent, acked, slow, proven, probes, pingSeenAt } = flow
        const session = {
          state,
          sessionId,
          major,
          strikes,
          failures,
          heardAt,
          claims,
          received,
          isAnonymous,
          positions,
        }
        const rates = { tokens, bytes, claimedRates, filledAt, refusals, refusedSince }
        const now: Kept = { ...session, ...rates, sent, acked, slow, proven, probes, pingSeenAt }
        this.#attachment = JSON.stringify(now)
      },
      close: (code, reason) => {
        flush()
        if (!this.isOpen) return
        this.isOpen = false
        this.close = { code, reason }
      },
    }
    return connection
  }

  /** Sends what is in line on the connection; what finds the socket closed is lost. */
  #flush(
    connection: Connection,
    encoded: ReadonlyArray<Encoded | undefined>,
    failed: Failed,
    addressOf: (connection: Connection) => Address.Address,
  ): void {
    connection.frame = undefined
    const batch = connection.outgoing.splice(0)
    if (!this.isOpen) return
    const left = (envelope: Envelope.Envelope, error: unknown): void => failed(connection, envelope, error)
    const { flow, major } = connection
    // One a frame, as it is counted by tests; what is sent together is encoded together all the same.
    for (const frame of framesOf(this.codec, batch, encoded, 1, left)) {
      const bytes = sizeOf(frame)
      if (major === 1) {
        if (flow.isCheckDue(bytes)) this.#probe(connection, addressOf(connection))
        flow.count(bytes)
      } else {
        if (flow.isCheckDue(bytes)) flow.look(this.pingedAt)
        flow.countUnheard(bytes)
      }
      this.received += bytes
      for (const value of this.codec.decode(frame)) {
        const envelope = Envelope.check(value) as Envelope.Envelope
        // With limits that no frame can say, which tests alone have, the answer says less.
        if (envelope.type !== "hub:connected" || isSayable(this.#limits)) judgeFromHub(envelope)
        this.sent.push(envelope)
      }
    }
    connection.save()
  }

  /** A probe comes. It is not among what tests take: all of them would have to leave it out. */
  #probe(connection: Connection, to: Address.Address): void {
    const nonce = `nonce ${connection.flow.sent}`
    const bytes = Buffer.byteLength(JSON.stringify(hubEnvelope("hub:probe", to, { nonce }, 0)))
    connection.flow.probed(nonce, bytes)
    this.received += bytes
    this.nonce = nonce
  }
}
