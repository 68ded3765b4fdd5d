/** Mount, unmount, mount, as React's StrictMode does, through real sockets. */
import { expect, test } from "vitest"
import { useHub } from "../support/hub.ts"
import { newAddress, useClients } from "../support/OwnClients.ts"

const hub = useHub({ own: true })
const connect = useClients()
const ROUNDS = 15

test.each(["/ws", "/gateway"])(
  "fault 61: at %s, the connect that came last is the one that stays",
  async (path) => {
    const url = hub.url().replace(/\/ws$/, path)
    const visitor = await connect(url, { identity: newAddress("visitor") })
    for (let round = 0; round < ROUNDS; round++) {
      const identity = newAddress("page")
      // The clean-up of the first mount has only the promise.
      const closed = connect(url, { identity }).then((first) => first.close())
      const page = await connect(url, { identity })
      await closed
      const heard = page.messages()
      await visitor.tell(identity, "note", round, { until: "acknowledged" })
      expect((await heard.next()).value?.payload, `round ${round}`).toBe(round)
      expect(page.state.status).toBe("connected")
    }
  },
)

test.each(["/ws", "/gateway"])(
  "fault 61: at %s, a connect that is aborted takes the identity from nobody",
  async (path) => {
    const url = hub.url().replace(/\/ws$/, path)
    for (let round = 0; round < ROUNDS; round++) {
      const identity = newAddress("page")
      const unmounted = new AbortController()
      const first = connect(url, { identity, signal: unmounted.signal }).catch((error: unknown) => error)
      unmounted.abort(new Error("unmounted"))
      const page = await connect(url, { identity })
      expect(await first).toEqual(new Error("unmounted"))
      await page.metrics()
      expect(page.state.status).toBe("connected")
    }
  },
)
