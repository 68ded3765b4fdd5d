/**
 * A process that speaks for an identity by the rules of reliable sessions, and no more: it numbers what it
 * sends, keeps it until it is acknowledged, takes what comes once and in order, and resumes. What its network
 * loses is for the test to say.
 */
import type { Envelope } from "@signal-hub/actor-core"
import type { Connected, ResumableSession, Resume } from "../../src/protocol/HubMessage.ts"
import type { Received, TestClient } from "./TestClient.ts"
import type { TestHub } from "./TestHub.ts"

type Outgoing = Pick<Envelope.Envelope, "id" | "to" | "type" | "payload" | "pattern" | "correlationId"> &
  Partial<Pick<Envelope.Envelope, "from" | "ttl" | "metadata">>

export class ReliableParty {
  readonly identity: string
  /** All that came, what repeats left out. */
  readonly came: Array<Received> = []
  /** What it took of what others sent, in order. */
  readonly taken: Array<Received> = []
  /** Ids of what it sent, and was told will not be delivered, or may not have been. */
  readonly reported = new Set<string>()
  /** Whether another process has its identity. */
  isSuperseded = false
  readonly #hub: TestHub
  #client: TestClient | undefined
  #session: Omit<Resume, "lastSeq"> | undefined
  /** Transmitted and not acknowledged, and what waits for a connection. */
  #unacknowledged: Array<Outgoing & { readonly seq: number }> = []
  #waiting: Array<Outgoing> = []
  #seq = 0
  #lastSeq = 0
  /** Whether nothing of what it sends arrives any more. */
  #isCut = false

  constructor(hub: TestHub, identity: string) {
    this.#hub = hub
    this.identity = identity
  }

  /** The connection that it has. */
  get client(): TestClient {
    if (this.#client === undefined) throw new Error(`${this.identity} has no connection`)
    return this.#client
  }

  get isConnected(): boolean {
    return this.#client !== undefined
  }

  send(envelope: Outgoing): void {
    if (this.#client === undefined) this.#waiting.push(envelope)
    else this.#transmit(envelope)
  }

  /** Takes what came. */
  take(): void {
    for (const envelope of this.#client?.take() ?? []) this.#takeOne(envelope)
    if (this.#client?.socket.isOpen === false) this.#client = undefined
  }

  acknowledge(): void {
    const bytes = this.#client?.socket.received ?? 0
    this.#toHub({ type: "hub:ack", payload: { through: this.#lastSeq, bytes } })
  }

  /** What it sends from now on is lost on the way. */
  cut(): void {
    this.#isCut = true
  }

  /** The socket is gone, with what was on its way. The hub hears of it, or does not. */
  drop(isHeard: boolean): void {
    const client = this.#client
    if (client === undefined) return
    this.#client = undefined
    if (isHeard && client.socket.isOpen) client.drop()
  }

  connect(): void {
    if (this.isSuperseded) return
    this.drop(false)
    this.#isCut = false
    const client = this.#hub.open()
    const metadata = {
      protocolVersion: "1.0.0",
      actorIdentity: this.identity,
      sessionExpirySeconds: 3_600,
      ...(this.#session !== undefined && { resume: { ...this.#session, lastSeq: this.#lastSeq } }),
    }
    client.send({ type: "hub:connect", pattern: "ask", metadata })
    const [answer, ...rest] = client.take()
    if (answer?.type === "hub:disconnect") return this.#superseded()
    const { sessionId, session } = answer!.payload as unknown as Connected
    this.#client = client
    this.#session = { sessionId, resumeToken: session!.resumeToken }
    this.#established(session!)
    for (const envelope of rest) this.#takeOne(envelope)
  }

  #established({ inSeq, resumed }: ResumableSession): void {
    if (resumed) {
      this.#unacknowledged = this.#unacknowledged.filter(({ seq }) => seq > inSeq)
      for (const envelope of this.#unacknowledged) this.#toHub(envelope)
    } else {
      for (const { id } of this.#unacknowledged.splice(0)) this.reported.add(id)
      this.#seq = 0
      this.#lastSeq = 0
    }
    for (const envelope of this.#waiting.splice(0)) this.#transmit(envelope)
  }

  #transmit(envelope: Outgoing): void {
    const numbered = { ...envelope, seq: ++this.#seq }
    this.#unacknowledged.push(numbered)
    this.#toHub(numbered)
  }

  #toHub(fields: Parameters<TestClient["send"]>[0]): void {
    if (!this.#isCut && this.#client?.socket.isOpen === true) this.#client.send(fields)
  }

  #takeOne(envelope: Received): void {
    const { seq, type, payload } = envelope
    if (seq !== undefined) {
      if (seq <= this.#lastSeq) return
      if (seq > this.#lastSeq + 1) throw new Error(`${this.identity}: ${seq} came after ${this.#lastSeq}`)
      this.#lastSeq = seq
    }
    this.came.push(envelope)
    if (type === "hub:ack") {
      const through = Number(payload.through)
      this.#unacknowledged = this.#unacknowledged.filter((one) => one.seq > through)
    } else if (type === "hub:disconnect") {
      if (payload.reason === "duplicate_connection") this.#superseded()
    } else if (type === "hub:error" || type === "hub:unknown_actor")
      this.reported.add(String(envelope.correlationId))
    else if (seq !== undefined) this.taken.push(envelope)
  }

  /** What it can't know to have arrived is its caller's to decide on. */
  #superseded(): void {
    this.isSuperseded = true
    this.#client = undefined
    for (const { id } of [...this.#unacknowledged.splice(0), ...this.#waiting.splice(0)])
      this.reported.add(id)
  }
}
