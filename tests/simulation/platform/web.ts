/** The part of the web's platform that Workers have and Node has not: upgrades, and pairs of sockets. */
import { ServerSocket } from "./ServerSocket.ts"

interface ResponseInit101 {
  readonly status?: number
  readonly headers?: Headers | { readonly [name: string]: string }
  readonly webSocket?: ClientHalf
}

/** A response, which may be that of an upgrade. */
export class PlatformResponse {
  readonly status: number
  readonly headers: Headers
  readonly webSocket: ClientHalf | null
  readonly body: string | null

  constructor(body: string | null, { headers, status = 200, webSocket }: ResponseInit101 = {}) {
    this.body = body
    this.status = status
    this.headers = new Headers(headers)
    this.webSocket = webSocket ?? null
  }
}

/** The end that the upgrade gives to the client. */
export class ClientHalf {
  readonly server: ServerSocket

  constructor(server: ServerSocket) {
    this.server = server
  }
}

/** `new WebSocketPair()`. */
export class SocketPair {
  readonly 0: ClientHalf
  readonly 1: ServerSocket

  constructor() {
    this[1] = new ServerSocket()
    this[0] = new ClientHalf(this[1])
  }
}
