/**
 * A client of protocol 1.0 for either codec, which says well-formed things with hostile values in them. It numbers
 * what is reliable, takes what comes in its order, acknowledges and resumes.
 */
import { type Codec, type Envelope, JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { WebSocket } from "ws"
import { HUB } from "../support/RawClient.ts"

type Fields = { readonly [field: string]: unknown }

/** An envelope as it came. */
export interface Came {
  readonly id: string
  readonly type: string
  readonly from: string
  readonly correlationId: string | null
  readonly payload: any
  readonly seq?: number
}

/** What of a session goes on with its next connection. */
interface Kept {
  readonly identity: string
  readonly sessionId: string
  readonly resumeToken: string
  /** The last number that it took. */
  through: number
}

export class Speaker {
  readonly #socket: WebSocket
  readonly #codec: Codec
  readonly #answers = new Map<string, (answer: Came) => void>()
  readonly #came: (came: Came) => void
  readonly kept: Kept
  #count = 0
  #seq = 0
  #bytes = 0
  #nonce: unknown
  readonly #closed = Promise.withResolvers<never>()
  isLeaving = false

  private constructor(socket: WebSocket, codec: Codec, kept: Kept, came: (came: Came) => void) {
    this.#socket = socket
    this.#codec = codec
    this.kept = kept
    this.#came = came
    this.#closed.promise.catch(() => undefined)
    socket.on("error", () => undefined)
    socket.on("close", (code) => {
      if (!this.isLeaving) this.#closed.reject(new Error(`${kept.identity} was closed ${code}`))
    })
    socket.on("message", (data: Buffer, isBinary) => {
      if (!isBinary && data.toString() === '{"type":"pong"}') return
      this.#bytes += data.length
      for (const value of codec.decode(isBinary ? new Uint8Array(data) : data.toString())) {
        this.#take(value as Came)
      }
    })
  }

  /** Opens a connection as the identity, or on with the session of `before`. */
  static async open(
    url: string,
    codecName: "json" | "msgpack",
    identity: string,
    metadata: Fields,
    came: (came: Came) => void,
    before?: Kept,
  ): Promise<Speaker> {
    const codec = codecName === "json" ? JsonCodec : MsgPackCodec
    const socket = new WebSocket(url, [codec.subprotocol], { perMessageDeflate: false })
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject))
    const kept = { identity, sessionId: "", resumeToken: "", through: before?.through ?? 0 }
    const speaker = new Speaker(socket, codec, kept, came)
    const resume =
      before === undefined
        ? {}
        : {
            resume: {
              sessionId: before.sessionId,
              resumeToken: before.resumeToken,
              lastSeq: before.through,
            },
          }
    const { payload, type } = await speaker.ask("hub:connect", null, {
      protocolVersion: "1.0.0",
      sessionExpirySeconds: 600,
      actorIdentity: identity,
      ...metadata,
      ...resume,
    })
    if (type !== "hub:connected") throw new Error(`${identity} was not connected: ${JSON.stringify(payload)}`)
    const { inSeq, resumed, resumeToken } = payload.session
    if (resumed !== (before !== undefined)) throw new Error(`${identity}: resumed ${resumed}`)
    Object.assign(kept, { sessionId: payload.sessionId, resumeToken })
    speaker.#seq = inSeq
    return speaker
  }

  /** Sends an envelope; gives its id. */
  send(fields: Fields, isReliable = false): string {
    const id = `${this.kept.sessionId}-${++this.#count}`
    const envelope = {
      id,
      from: "",
      to: HUB,
      type: "x",
      payload: null,
      pattern: "tell",
      correlationId: null,
      timestamp: 1,
      metadata: {},
      ttl: null,
      signature: null,
      ...fields,
      ...(isReliable && { seq: ++this.#seq }),
    } as Envelope.Envelope
    this.#socket.send(this.#codec.encode([envelope]))
    return id
  }

  ask(type: string, payload: unknown, metadata: Fields = {}): Promise<Came> {
    const answer = new Promise<Came>((resolve) =>
      this.#answers.set(this.send({ type, payload, metadata, pattern: "ask" }), resolve),
    )
    return Promise.race([answer, this.#closed.promise])
  }

  /** Acknowledges all that came, and waits until all that was sent is taken. */
  async settle(): Promise<void> {
    const nonce = this.#nonce === undefined ? {} : { nonce: this.#nonce }
    this.#nonce = undefined
    this.send({ type: "hub:ack", payload: { through: this.kept.through, bytes: this.#bytes, ...nonce } })
    await this.ask("hub:heartbeat", { timestamp: 1 })
  }

  /** The connection is lost; the session waits. */
  leave(): void {
    this.isLeaving = true
    this.#socket.terminate()
  }

  #take(came: Came): void {
    const { kept } = this
    if (came.seq !== undefined) {
      if (came.seq > kept.through + 1) throw new Error(`${kept.identity}: ${kept.through}, then ${came.seq}`)
      if (came.seq <= kept.through) return
      kept.through = came.seq
    }
    if (came.type === "hub:probe") this.#nonce = came.payload.nonce
    const answered = came.correlationId === null ? undefined : this.#answers.get(came.correlationId)
    if (answered !== undefined) {
      this.#answers.delete(came.correlationId!)
      return answered(came)
    }
    this.#came(came)
  }
}
