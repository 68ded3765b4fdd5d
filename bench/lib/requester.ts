/** Requests over a plain socket, one JSON frame each, and the answers that name them. */
import type { WebSocket } from "ws"
import { makeEnvelope } from "./envelope.ts"
import { endSocket, openSocket } from "./rawPeer.ts"

export interface Received {
  readonly type: string
  readonly correlationId: string | null
  readonly payload: unknown
}

export interface Requester extends AsyncDisposable {
  readonly socket: WebSocket
  /** Resolves with the answer, be it a failure. */
  readonly request: (to: string, type: string, payload: unknown, metadata?: object) => Promise<Received>
  /** Sends what is not answered. */
  readonly send: (envelope: object) => void
  /** Who hears what answers nothing. One listener at a time. */
  readonly onOther: (listener: (received: Received) => void) => void
}

/** Of `{"type":"pong"}`. */
const PONG_BYTES = 15

export const requester = async (url: string): Promise<Requester> => {
  const socket = await openSocket(url)
  const waiting = new Map<string, (answer: Received) => void>()
  let listener: (received: Received) => void = () => {}
  socket.on("message", (data: Buffer) => {
    const received: Received = JSON.parse(data.toString())
    if (data.length === PONG_BYTES && received.type === "pong") return
    const answered = waiting.get(received.correlationId ?? "")
    if (answered === undefined) return listener(received)
    waiting.delete(received.correlationId ?? "")
    answered(received)
  })
  const send = (envelope: object): void => socket.send(JSON.stringify(envelope))
  return {
    socket,
    send,
    request: (to, type, payload, metadata) =>
      new Promise((resolve) => {
        const envelope = { ...makeEnvelope(to, payload), type, pattern: "ask", metadata }
        waiting.set(envelope.id, resolve)
        send(envelope)
      }),
    onOther: (next) => {
      listener = next
    },
    [Symbol.asyncDispose]: () => endSocket(socket),
  }
}

/** The payload of an answer of this type; rejects any other. */
export const expecting = async (type: string, answer: Promise<Received>): Promise<unknown> => {
  const { type: given, payload } = await answer
  if (given !== type) throw new Error(`${given} in place of ${type}: ${JSON.stringify(payload)}`)
  return payload
}
