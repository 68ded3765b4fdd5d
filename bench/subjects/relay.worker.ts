/**
 * The baseline: the relay object that someone would write by hand in an afternoon. A Map from
 * address to socket; parse, look up, send the same string; nothing else.
 */
import { DurableObject } from "cloudflare:workers"

interface Env {
  readonly RELAY: DurableObjectNamespace<Relay>
}

export class Relay extends DurableObject<Env> {
  readonly #sockets = new Map<string, WebSocket>()

  override fetch(request: Request): Response {
    const address = new URL(request.url).searchParams.get("address") ?? ""
    const { 0: client, 1: server } = new WebSocketPair()
    server.accept()
    this.#sockets.set(address, server)
    server.addEventListener("message", ({ data }) => {
      if (typeof data !== "string") return
      const { to }: { readonly to: string } = JSON.parse(data)
      if (to === "*") {
        for (const socket of this.#sockets.values()) if (socket !== server) socket.send(data)
      } else this.#sockets.get(to)?.send(data)
    })
    server.addEventListener("close", () => this.#sockets.delete(address))
    return new Response(null, { status: 101, webSocket: client })
  }
}

export default {
  fetch: (request, env) => env.RELAY.getByName("bench").fetch(request),
} satisfies ExportedHandler<Env>
