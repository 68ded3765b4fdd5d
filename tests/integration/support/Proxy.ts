/** A proxy between clients and the hub that does what proxies do: limits frames, ends idle connections, drops headers. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { WebSocket, WebSocketServer } from "ws"

export interface ProxyOptions {
  /** Passes the subprotocol in neither direction. */
  readonly dropsSubprotocol?: boolean
  /** Judges a frame of a client: a close code ends its connection in place of passing the frame on. */
  readonly judge?: (frame: Buffer) => number | undefined
  /** Answers requests that are no upgrades; 404 by default. */
  readonly page?: string
}

export class Proxy {
  /** The first part of its URL, as `ws://localhost:1234`. */
  readonly origin: string
  /** The close codes that it has ended connections with. */
  readonly codes: Array<number> = []
  /** The bytes of the frames that it passed to the hub, by connection. */
  readonly passed: Array<Array<Buffer>> = []
  readonly #server: Server
  readonly #sockets: WebSocketServer
  /** Those to clients that are open. */
  readonly #clients = new Set<WebSocket>()

  constructor(server: Server, sockets: WebSocketServer) {
    this.#server = server
    this.#sockets = sockets
    this.origin = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** Begins to listen. `target` is the origin that the paths of its clients are asked for at. */
  static async start(target: string, options: ProxyOptions = {}): Promise<Proxy> {
    const server = createServer((_, response) => {
      response.writeHead(options.page === undefined ? 404 : 200, { "Content-Type": "text/html" })
      response.end(options.page ?? "not found")
    })
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
    const handleProtocols = (offered: Set<string>): string | false =>
      options.dropsSubprotocol === true ? false : ([...offered][0] ?? false)
    const sockets = new WebSocketServer({ noServer: true, handleProtocols })
    const proxy = new Proxy(server, sockets)
    server.on("upgrade", (request, socket, head) => {
      // A client may be gone before it is answered.
      socket.on("error", () => {})
      if (options.page !== undefined) {
        return void socket.end(`HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n${options.page}`)
      }
      const offered = request.headers["sec-websocket-protocol"]?.split(",").map((name) => name.trim()) ?? []
      const upstream = new WebSocket(
        `${target}${request.url}`,
        options.dropsSubprotocol === true ? [] : offered,
      )
      const refuse = (): void => void socket.end("HTTP/1.1 404 Not Found\r\n\r\n")
      upstream.once("error", refuse)
      upstream.once("open", () => {
        upstream.off("error", refuse).on("error", () => {})
        sockets.handleUpgrade(request, socket, head, (client) => proxy.#join(client, upstream, options.judge))
      })
    })
    return proxy
  }

  #join(client: WebSocket, upstream: WebSocket, judge: ProxyOptions["judge"]): void {
    const passed: Array<Buffer> = []
    this.passed.push(passed)
    this.#clients.add(client)
    client.on("error", () => {})
    client.on("message", (data, isBinary) => {
      if (client.readyState !== WebSocket.OPEN) return
      const frame = data as Buffer
      const code = judge?.(frame)
      if (code === undefined) {
        passed.push(frame)
        return upstream.send(frame, { binary: isBinary })
      }
      this.codes.push(code)
      client.close(code)
      // The hub sees a connection that is lost.
      upstream.terminate()
    })
    upstream.on("message", (data, isBinary) => client.send(data as Buffer, { binary: isBinary }))
    upstream.on("close", (code, reason) => {
      if (code === 1005 || code === 1006) client.terminate()
      else client.close(code, reason)
    })
    client.on("close", () => {
      this.#clients.delete(client)
      upstream.terminate()
    })
  }

  /** Ends all connections, as a proxy does that finds them idle. */
  endAll(code: number, reason: string): void {
    for (const client of this.#clients) {
      this.codes.push(code)
      client.close(code, reason)
    }
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.terminate()
    this.#sockets.close()
    this.#server.closeAllConnections()
    await new Promise((closed) => this.#server.close(closed))
  }
}
