/**
 * Beside the Worker under test: evicts one of its objects, `GET /<binding>/<name>`; its sockets hibernate, or
 * with `?webSockets=close` close, as a deploy does it.
 */
import unsafe from "workerd:unsafe"

interface Env {
  readonly [binding: string]: DurableObjectNamespace
}

export default {
  fetch: async (request, env) => {
    const { pathname, searchParams } = new URL(request.url)
    const [, binding = "", name = ""] = pathname.split("/")
    const webSockets = searchParams.get("webSockets") === "close" ? "close" : "hibernate"
    await unsafe.evict(env[binding]!.getByName(decodeURIComponent(name)), { webSockets })
    return new Response()
  },
} satisfies ExportedHandler<Env>
