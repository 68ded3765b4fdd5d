/** Beside the Worker under test: evicts one of its objects, `GET /<binding>/<name>`. */
import unsafe from "workerd:unsafe"

interface Env {
  readonly [binding: string]: DurableObjectNamespace
}

export default {
  fetch: async (request, env) => {
    const [, binding = "", name = ""] = new URL(request.url).pathname.split("/")
    await unsafe.evict(env[binding]!.getByName(decodeURIComponent(name)), { webSockets: "hibernate" })
    return new Response()
  },
} satisfies ExportedHandler<Env>
