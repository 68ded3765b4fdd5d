/**
 * The baseline of gateways: what a good developer would write by hand. An object for each client, on
 * hibernatable sockets, which makes one call for each message to the object that it names, and sends what
 * that gives back. And a single object that loops over its sockets.
 */
import { DurableObject } from "cloudflare:workers"

interface Env {
  readonly GATEWAY: DurableObjectNamespace<Gateway>
  readonly COUNTER: DurableObjectNamespace<Counter>
  readonly ROOM: DurableObjectNamespace<Room>
}

interface Question {
  readonly id: string
  readonly to: string
  readonly type: "ping" | "echo" | "add"
  readonly payload: unknown
}

const accept = (ctx: DurableObjectState): Response => {
  const { 0: client, 1: server } = new WebSocketPair()
  ctx.acceptWebSocket(server)
  return new Response(null, { status: 101, webSocket: client })
}

export class Gateway extends DurableObject<Env> {
  override fetch(): Response {
    return accept(this.ctx)
  }

  override async webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): Promise<void> {
    const { id, to, type, payload }: Question = JSON.parse(String(frame))
    try {
      socket.send(
        JSON.stringify({ correlationId: id, type: "answer", payload: await this.#ask(to, type, payload) }),
      )
    } catch (error) {
      socket.send(JSON.stringify({ correlationId: id, type: "error", payload: String(error) }))
    }
  }

  #ask(to: string, type: Question["type"], payload: unknown): unknown {
    if (type === "ping") return Date.now()
    const counter = this.env.COUNTER.getByName(to)
    return type === "echo" ? counter.echo(payload as object) : counter.add(payload as number)
  }
}

export class Counter extends DurableObject<Env> {
  #total: number | undefined

  echo(payload: object): object {
    return payload
  }

  add(amount: number): number {
    this.#total = (this.#total ?? this.ctx.storage.kv.get<number>("total") ?? 0) + amount
    this.ctx.storage.kv.put("total", this.#total)
    return this.#total
  }
}

export class Room extends DurableObject<Env> {
  override fetch(): Response {
    return accept(this.ctx)
  }

  override webSocketMessage(_sender: WebSocket, frame: string | ArrayBuffer): void {
    for (const socket of this.ctx.getWebSockets()) socket.send(frame)
  }
}

export default {
  fetch: (request, env) => {
    const [, place, name = ""] = new URL(request.url).pathname.split("/")
    return (place === "room" ? env.ROOM.getByName("bench") : env.GATEWAY.getByName(name)).fetch(request)
  },
} satisfies ExportedHandler<Env>
