/** A store in memory, that processes share as they would a disk; and that fails as it is told to. */
import { type Persistence, type Store, StoreTaken } from "../../../src/client/Persistence.ts"

export class MemoryStore implements Persistence {
  readonly entries = new Map<string, unknown>()
  #owner = 0
  /** Writes end when this does. */
  gate: Promise<void> = Promise.resolve()
  failure: Error | undefined
  writes = 0

  async open(): Promise<Store> {
    if (this.failure !== undefined) throw this.failure
    const owner = ++this.#owner
    return {
      entries: new Map(this.entries),
      write: async (changes) => {
        const { gate } = this
        await gate
        if (this.failure !== undefined) throw this.failure
        if (owner !== this.#owner) throw new StoreTaken()
        this.writes++
        for (const [key, value] of changes) {
          if (value === undefined) this.entries.delete(key)
          // As any store does: nothing of the process gets in but its data.
          else this.entries.set(key, structuredClone(value))
        }
      },
    }
  }

  /** The payloads of the messages that it holds, with their numbers. */
  get messages(): ReadonlyArray<readonly [payload: unknown, seq: number | undefined]> {
    return [...this.entries].flatMap(([key, value]) => {
      if (!key.startsWith("message/")) return []
      const { envelope, seq } = value as {
        readonly envelope: { readonly payload: unknown }
        readonly seq?: number
      }
      return [[envelope.payload, seq] as const]
    })
  }
}
