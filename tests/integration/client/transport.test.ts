/** The hub's client as a transport of actor systems, through real workerd. */
import { TransportConformance } from "@signal-hub/actor-core/testing"
import { HubClient } from "@signal-hub/cloudflare-transport/client"
import * as Effect from "effect/Effect"
import { describe, test } from "vitest"
import { useHub } from "../support/hub.ts"
import { newAddress } from "../support/OwnClients.ts"

const MAX = 20_000

const hub = useHub({ limits: { maxMessageSize: MAX } })

describe.each(["json", "msgpack"] as const)("by %s", (codec) => {
  const end = Effect.gen(function* () {
    const address = newAddress("end")
    const client = yield* HubClient.make({ url: hub.url(), identity: address, codec })
    // The hub says what it takes when it is connected.
    yield* client.ready
    return { transport: client.transport, address }
  })
  const subject = { near: end, far: end, nobody: newAddress("nobody"), maxMessageSize: MAX }
  for (const { name, run } of TransportConformance.cases(subject)) test(name, () => Effect.runPromise(run))
})
