/** A client of the test host: sends envelopes on one socket and looks at what came. */
import type { Envelope } from "@signal-hub/actor-core"
import { HUB_ADDRESS, type ResumableSession, type Resume } from "../../src/protocol/HubMessage.ts"
import type { TestHub } from "./TestHub.ts"
import type { TestSocket } from "./TestSocket.ts"

/** An envelope as tests look at it: its payload as fields. */
export type Received = Omit<Envelope.Envelope, "payload"> & {
  readonly payload: { readonly [field: string]: unknown }
}

type Fields = { readonly [field in keyof Envelope.Envelope]?: unknown }

export class TestClient {
  readonly hub: TestHub
  readonly socket: TestSocket
  identity: string | undefined
  sessionId = ""
  /** What the hub said of it; none at 0.x. */
  session!: ResumableSession
  /** For ids that sort in the order they were sent, as rows of asks that end together do. */
  #count = 0
  /** The number of the last reliable envelope that it sent. */
  #seq = 0

  constructor(hub: TestHub, socket: TestSocket) {
    this.hub = hub
    this.socket = socket
  }

  /** Sends an envelope; fields that are left out get a value that is valid. Gives its id. */
  send(fields: Fields): string {
    const envelope = this.#envelope(fields)
    this.hub.receive(this.socket, envelope)
    return envelope.id
  }

  /** Sends reliable envelopes in one frame. */
  surelyAll(batch: ReadonlyArray<Fields>): void {
    this.hub.receive(this.socket, ...batch.map((fields) => this.#envelope({ ...fields, seq: ++this.#seq })))
  }

  #envelope(fields: Fields) {
    const id = typeof fields.id === "string" ? fields.id : `m${String(++this.#count).padStart(4, "0")}`
    return {
      to: HUB_ADDRESS,
      type: "note",
      pattern: "tell",
      timestamp: this.hub.now(),
      ...fields,
      id,
    }
  }

  connect(identity?: string, metadata: { readonly [key: string]: unknown } = {}): Received {
    const named = identity === undefined ? {} : { actorIdentity: identity }
    const answer = this.request("hub:connect", null, {
      metadata: { protocolVersion: "0.1.0", ...named, ...metadata },
    })
    if (answer.type === "hub:connected") {
      this.identity = identity
      this.sessionId = String(answer.payload.sessionId)
      this.session = answer.payload.session as ResumableSession
      this.#seq = this.session?.inSeq ?? 0
    }
    return answer
  }

  /** Asks the hub and gives the answer, which must be there at once. */
  request(type: string, payload: unknown = null, fields: Fields = {}): Received {
    const id = this.send({ type, payload, pattern: "ask", ...fields })
    const at = this.socket.sent.findIndex(({ correlationId }) => correlationId === id)
    if (at < 0) throw new Error(`${type} was not answered`)
    return this.socket.sent.splice(at, 1)[0]! as Received
  }

  register(actorAddress: string, more: { readonly [field: string]: unknown } = {}): Received {
    return this.request("hub:register", { actorAddress, ...more })
  }

  subscribe(topic: string, more: { readonly [field: string]: unknown } = {}): Received {
    return this.request("hub:subscribe", { topic, ...more })
  }

  watch(actorAddress: string): Received {
    return this.request("hub:watch", { actorAddress })
  }

  tell(to: string, type: string, payload: unknown = null): string {
    return this.send({ to, type, payload })
  }

  ask(to: string, type: string, payload: unknown = null, ttl: number | null = null): string {
    return this.send({ to, type, payload, pattern: "ask", ttl })
  }

  /** Sends an envelope reliably, under the next number. */
  surely(fields: Fields): string {
    return this.send({ ...fields, seq: ++this.#seq })
  }

  /** What it takes to go on with its session, where it has taken all through this number. */
  resume(lastSeq = 0, resumeToken = this.session.resumeToken): Resume {
    return { sessionId: this.sessionId, resumeToken, lastSeq }
  }

  /** Answers an ask that came. */
  answer(ask: Received, payload: unknown, fields: Fields = {}): string {
    return this.send({ to: ask.from, type: "answer", payload, correlationId: ask.id, ...fields })
  }

  /** What came since it was last asked for. */
  take(): ReadonlyArray<Received> {
    return this.socket.sent.splice(0) as ReadonlyArray<Received>
  }

  /** What came of this type since anything was last taken. */
  takeOf(type: string): ReadonlyArray<Received> {
    return this.take().filter((envelope) => envelope.type === type)
  }

  /** The one envelope that came. */
  takeOne(): Received {
    const came = this.take()
    if (came.length !== 1) throw new Error(`${came.length} came: ${came.map(({ type }) => type).join(", ")}`)
    return came[0]!
  }

  /** The socket is lost, and the hub hears of it. */
  drop(cause = "closed 1006"): void {
    this.hub.closed(this.socket, cause)
  }
}
