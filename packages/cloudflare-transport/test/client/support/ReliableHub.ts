/**
 * A hub with one session that is resumed: as much of one as a client can tell, scripted by the test. What a
 * socket that is cut says in either direction is lost.
 */
import type { Envelope } from "@signal-hub/actor-core"
import type { NotResumedReason as NotResumed, Resume as ResumeRequest } from "../../../src/protocol/index.ts"
import {
  type Answer,
  connected,
  type FakeNetwork,
  type FakeSocket,
  fromHub,
  standardAnswer,
} from "./FakeNetwork.ts"

export class ReliableHub {
  readonly network: FakeNetwork
  sessionId = "s-1"
  epoch = 0
  token = "t-0"
  /** The last number taken from the client. */
  inSeq = 0
  /** Reliable envelopes taken from the client, in order. */
  readonly taken: Array<Envelope.Envelope> = []
  /** All else that is for actors, in order. */
  readonly volatile: Array<Envelope.Envelope> = []
  /** What the client is to get, until it acknowledges it. */
  outbox: Array<Envelope.Envelope> = []
  #outNext = 1
  #delivered: Array<Envelope.Envelope> = []
  /** Whether what is taken is acknowledged at once. */
  acknowledges = true
  /** Says why a session is not resumed; `"forbidden"` refuses. */
  refuses: NotResumed | "forbidden" | undefined
  /** The resume requests that came. */
  readonly resumes: Array<ResumeRequest | undefined> = []
  /** Acknowledgments that came. */
  readonly acks: Array<number> = []
  /** The numbers in the order they came, repeats and all, by socket. */
  readonly seqs: Array<Array<number>> = []
  #socket: FakeSocket | undefined
  #cut = new Set<FakeSocket>()
  #sessions = 1
  limits: object = {
    maxEnvelopesPerSecond: 1_000_000,
    envelopeBurst: 1_000_000,
    maxBytesPerSecond: 1e9,
    byteBurst: 1e9,
  }

  constructor(network: FakeNetwork) {
    this.network = network
    network.onSocket = (socket) => {
      this.seqs.push([])
      socket.answers = (envelope) => this.#on(socket, envelope)
    }
  }

  #on(socket: FakeSocket, envelope: Envelope.Envelope): Answer | undefined {
    if (this.#cut.has(socket)) return undefined
    if (envelope.type === "hub:connect") return this.#connect(socket, envelope)
    if (envelope.seq !== undefined) this.seqs.at(-1)!.push(envelope.seq)
    if (envelope.type === "hub:ack") {
      const { through } = envelope.payload as { readonly through: number }
      this.acks.push(through)
      this.outbox = this.outbox.filter(({ seq }) => seq! > through)
      return undefined
    }
    if (envelope.seq === undefined) {
      if (!envelope.type.startsWith("hub:")) this.volatile.push(envelope)
      return standardAnswer(envelope)
    }
    if (envelope.seq > this.inSeq + 1) throw new Error(`a gap: ${envelope.seq} after ${this.inSeq}`)
    if (envelope.seq <= this.inSeq) return undefined
    this.inSeq = envelope.seq
    this.taken.push(envelope)
    if (this.acknowledges) queueMicrotask(() => this.acknowledge())
    return undefined
  }

  #connect(socket: FakeSocket, { metadata }: Envelope.Envelope): Answer {
    const resume = metadata.resume as ResumeRequest | undefined
    this.resumes.push(resume)
    const { refuses } = this
    this.refuses = undefined
    if (resume !== undefined && (refuses === "forbidden" || resume.resumeToken !== this.token)) {
      return { type: "hub:error", payload: { code: "forbidden", message: "not the token of this session" } }
    }
    this.#socket = socket
    const resumed = resume !== undefined && refuses === undefined
    if (resumed) this.outbox = this.outbox.filter(({ seq }) => seq! > resume.lastSeq)
    else {
      this.sessionId = `s-${this.#sessions++}`
      this.inSeq = 0
      this.#outNext = 1
      this.outbox = []
      this.#delivered = []
    }
    this.token = `t-${++this.epoch}`
    queueMicrotask(() => {
      for (const envelope of this.outbox) this.#say(envelope)
      if (this.inSeq > 0 && this.acknowledges) this.acknowledge()
    })
    return connected({
      sessionId: this.sessionId,
      limits: this.limits,
      session: {
        epoch: this.epoch,
        resumeToken: this.token,
        resumed,
        ...(refuses !== undefined && { reason: refuses }),
        kept: { registrations: 0, subscriptions: 0, watches: 0 },
        expirySeconds: 60,
        inSeq: this.inSeq,
        outFirst: this.outbox[0]?.seq ?? this.#outNext,
        outNext: this.#outNext,
      },
    })
  }

  #say(envelope: Envelope.Envelope): void {
    const socket = this.#socket
    if (socket === undefined || this.#cut.has(socket) || socket.readyState !== 1) return
    socket.emit("message", { data: JSON.stringify(envelope) })
  }

  /** Tells the client that all it sent so far is taken, or as much of it as is said. */
  acknowledge(through = this.inSeq): void {
    this.#say(fromHub("hub:ack", { through, bytes: 0 }, {}))
  }

  /** Says something reliably to the client. */
  deliver(type: string, payload: unknown, fields: Partial<Envelope.Envelope> = {}): Envelope.Envelope {
    const envelope = fromHub(type, payload, {
      from: "@(test/ada)",
      to: "@(test/me)",
      ...fields,
      seq: this.#outNext++,
    })
    this.outbox.push(envelope)
    this.#delivered.push(envelope)
    this.#say(envelope)
    return envelope
  }

  /** Says again what it said reliably in this session. */
  repeat(): void {
    for (const envelope of this.#delivered) this.#say(envelope)
  }

  /** From now on nothing passes; the client doesn't know yet. */
  cut(): void {
    if (this.#socket !== undefined) this.#cut.add(this.#socket)
  }
}
