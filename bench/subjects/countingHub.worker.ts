/** The hub, with a count of the rows that it writes, as the platform bills them: `GET /rows`. */
import { hubWorker, SignalHub, type HubEnv } from "@signal-hub/cloudflare-transport"

let written = 0

export class CountingHub extends SignalHub {
  constructor(ctx: DurableObjectState, env: HubEnv) {
    const { sql } = ctx.storage
    const exec = sql.exec.bind(sql)
    sql.exec = ((...args: Parameters<typeof exec>) => {
      const cursor = exec(...args)
      written += cursor.rowsWritten
      return cursor
    }) as typeof sql.exec
    super(ctx, env)
  }
}

export default {
  fetch: (request, env, ctx) =>
    new URL(request.url).pathname === "/rows"
      ? new Response(String(written))
      : hubWorker.fetch!(request as never, env, ctx),
} satisfies ExportedHandler<HubEnv>
