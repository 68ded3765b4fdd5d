/** A page that is hidden for good: nobody comes back to its session. */
import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ClientOptions } from "../../src/client/index.ts"
import { MemoryStore } from "./support/MemoryStore.ts"
import { settle, start } from "./support/harness.ts"

describe("fault 79: a page that is hidden", () => {
  let page: EventTarget

  beforeEach(() => {
    page = new EventTarget()
    vi.stubGlobal("document", {})
    vi.stubGlobal("addEventListener", page.addEventListener.bind(page))
    vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page))
  })
  afterEach(() => vi.unstubAllGlobals())

  /** Hides the page of a client with these options. Returns the types of what the client has sent. */
  const hide = (persisted: boolean, options: Partial<ClientOptions> = {}) =>
    Effect.gen(function* () {
      const { network } = yield* start(options)
      page.dispatchEvent(Object.assign(new Event("pagehide"), { persisted }))
      yield* settle
      return network.last.types
    })

  it.effect("for good: its client says goodbye", () =>
    Effect.gen(function* () {
      expect(yield* hide(false)).toContain("hub:disconnect")
    }),
  )

  it.effect("and may be shown again: its client keeps the session", () =>
    Effect.gen(function* () {
      expect(yield* hide(true)).not.toContain("hub:disconnect")
    }),
  )

  it.effect("and has stored its session: the next page takes it up", () =>
    Effect.gen(function* () {
      expect(yield* hide(false, { persistence: new MemoryStore() })).not.toContain("hub:disconnect")
    }),
  )

  it.effect("after its client has ended: nothing listens any more", () =>
    Effect.gen(function* () {
      const remove = vi.spyOn(page, "removeEventListener")
      vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page))
      const { client } = yield* start()
      yield* client.close
      expect(remove).toHaveBeenCalledWith("pagehide", expect.any(Function))
    }),
  )
})
