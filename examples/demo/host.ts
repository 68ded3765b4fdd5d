/** An actor of the demo, the same in Node and in a browser: it greets, and says aloud what it hears. */
import { type Address } from "@signal-hub/actor-core"
import { connect, type Hub } from "@signal-hub/cloudflare-transport/client"
import { Greeter, Shy } from "./Greeter.ts"

/** Serves a greeter at the address until the connection ends for good. `say` gets a line an event. */
export const host = async (
  url: string,
  address: Address.Address,
  say: (line: string) => void,
): Promise<Hub> => {
  const hub = await connect(url, { identity: address })
  hub.onState((state) => {
    if (state.status === "superseded") say(`was told: ${state.cause}; closed ${state.code}, stays away`)
    if (state.status === "reconnecting") say("lost its connection, comes back")
  })
  await hub.serve(Greeter, {
    greet: ({ name }) => {
      if (name === "Greta") throw new Shy({ name })
      return `hello ${name}, says ${address}`
    },
    note: ({ text }, { sender }) => say(`was told "${text}" by ${sender}`),
  })
  hub.onMessage(({ metadata, payload, from }) => {
    if (metadata.broadcast === true) say(`heard the broadcast "${String(payload)}" of ${from}`)
  })
  const news = hub.subscribe("news")
  await news.ready
  void (async () => {
    for await (const { payload, from } of news) say(`read "${String(payload)}" on "news", by ${from}`)
  })()
  say("is registered")
  return hub
}
