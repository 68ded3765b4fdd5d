/** The same relay on partyserver, as its documentation would have one write it. */
import { getServerByName, Server, type Connection, type WSMessage } from "partyserver"

interface Env {
  readonly RELAY: DurableObjectNamespace<PartyRelay>
}

export class PartyRelay extends Server<Env> {
  override onMessage(sender: Connection, message: WSMessage): void {
    if (typeof message !== "string") return
    const { to }: { readonly to: string } = JSON.parse(message)
    if (to === "*") this.broadcast(message, [sender.id])
    else this.getConnection(to)?.send(message)
  }
}

export default {
  fetch: async (request, env) => (await getServerByName(env.RELAY, "bench")).fetch(request),
} satisfies ExportedHandler<Env>
