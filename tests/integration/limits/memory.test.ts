/** protocol.md, section 7: what readers that never read cost a hub, and those beside them. */
import { expect, test } from "vitest"
import { useHub } from "../support/hub.ts"
import { runtimeMemory } from "../support/memory.ts"
import { topic, unique } from "../support/names.ts"
import { codeOf, envelope, numberOf, type RawClient } from "../support/RawClient.ts"

/** Rates as of a trusted service; the thresholds are the usual ones. */
const hub = useHub({
  limits: { maxEnvelopesPerSecond: 1e6, envelopeBurst: 1e6, maxBytesPerSecond: 1e12, byteBurst: 1e12 },
})

const READERS = 100
const MOST = 256e6
const data = "x".repeat(200_000)

/** Tells the reader until the hub takes no more; gives how much it took. */
const fill = async (sender: RawClient, reader: RawClient): Promise<number> => {
  for (let taken = 0; ; taken++) {
    const note = envelope({ to: reader.identity, type: "note", payload: data })
    await sender.send(note)
    const refusal = (await sender.rest()).find(({ correlationId }) => correlationId === note.id)
    if (refusal === undefined) continue
    expect(codeOf(refusal)).toBe("queue_full")
    return taken * data.length
  }
}

test("faults 70, 77: 100 readers that never read cost a hub less than 256 MB, and an innocent pair nothing", async () => {
  const name = unique("unread")
  const connect = () => hub.connect({ hub: name })
  const [ada, bob, sender] = [await connect(), await connect(), await connect()]
  const news = topic("news")
  const readers: Array<RawClient> = []
  for (let n = 0; n < READERS; n++) {
    const reader = await connect()
    await reader.ask("hub:subscribe", { topic: news })
    reader.socket.pause()
    readers.push(reader)
  }
  const before = runtimeMemory()
  let most = before
  // What the kernel keeps of it differs from machine to machine; what the hub has sent does not.
  let sent = 0
  for (const reader of readers) {
    sent += await fill(sender, reader)
    const published = await sender.ask("hub:publish", { topic: news, type: "item", data })
    sent += numberOf(published, "subscriberCount") * data.length
    most = Math.max(most, runtimeMemory())
  }
  expect(sent).toBeLessThan(MOST)
  expect(most - before).toBeLessThan(MOST)
  for (let n = 0; n < 50; n++) {
    const question = envelope({ to: bob.identity, type: "question", payload: n, pattern: "ask" })
    await ada.send(question)
    const asked = await bob.expect("question")
    await bob.send(envelope({ to: asked.from, type: "answer", payload: n, correlationId: asked.id }))
    expect((await ada.expect("answer")).payload).toBe(n)
  }
})
