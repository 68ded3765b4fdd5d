/**
 * Upgrades that the Worker itself refuses, in a form that a browser can read. Each is a socket that stays open until
 * its client answers the close, so that there is a bound of them.
 */
import { JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { chosenSubprotocol } from "../bridge/Subprotocol.ts"
import { tooManyClosed } from "../bridge/tooManyClosed.ts"
import type { CloseCode } from "../protocol/CloseCode.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import type { HubErrorCode } from "../protocol/HubError.ts"
import { provisionalAddress } from "../protocol/HubMessage.ts"

/** Why an upgrade is refused. */
export interface Refused {
  readonly code: HubErrorCode
  readonly message: string
}

export class Refusals {
  /** Sockets that are closed here and not by their clients. */
  #closing = 0

  /**
   * Accepts the upgrade, then refuses it with a typed error and the close code: a browser can't see the HTTP status
   * of a failed upgrade, and would retry for ever. No object is woken. Where `maxClosedSockets` clients have not
   * answered their close, the answer is 503.
   */
  refuse(request: Request, refused: Refused, close: CloseCode, maxClosedSockets: number): Response {
    if (this.#closing >= maxClosedSockets) return tooManyClosed()
    const { code, message } = refused
    const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket]
    const subprotocol = chosenSubprotocol(request)
    const codec = subprotocol === MsgPackCodec.subprotocol ? MsgPackCodec : JsonCodec
    const details = code === "unauthorized" ? { action: "hub:connect", reason: message } : {}
    const to = provisionalAddress("none")
    const frame = codec.encode([errorEnvelope(null, to, code, message, Date.now(), null, details)])
    server.accept()
    this.#watch(server)
    server.send(frame)
    server.close(close, code)
    const headers = new Headers(subprotocol === undefined ? {} : { "Sec-WebSocket-Protocol": subprotocol })
    return new Response(null, { status: 101, webSocket: client, headers })
  }

  /** Counts the socket until its client has answered, or is gone. */
  #watch(socket: WebSocket): void {
    let isOpen = true
    const ended = (): void => {
      if (isOpen) this.#closing--
      isOpen = false
    }
    this.#closing++
    socket.addEventListener("close", ended)
    socket.addEventListener("error", ended)
  }
}
