/**
 * The order of answers: those of one connection leave in the order of its requests, also where one needs
 * longer than the next. Costs nothing where none does.
 */
import type { Connection } from "../session/Connection.ts"

/** The place of an answer that is still to come. */
export interface Slot {
  /** The answer is there: `send` is called when it is its turn. */
  readonly fill: (send: () => void) => void
}

interface Place {
  send: (() => void) | undefined
}

export class Replies {
  /** Of each connection that waits for an answer: its places, the first of them not yet filled. */
  readonly #places = new WeakMap<Connection, Array<Place>>()

  /** Sends now, or after the answers that the connection still waits for. */
  inOrder(connection: Connection | undefined, send: () => void): void {
    const places = connection === undefined ? undefined : this.#places.get(connection)
    if (places === undefined) send()
    else places.push({ send })
  }

  /** Keeps a place for an answer that comes later. */
  hold(connection: Connection): Slot {
    const place: Place = { send: undefined }
    const places = this.#places.get(connection)
    if (places === undefined) this.#places.set(connection, [place])
    else places.push(place)
    return {
      fill: (send) => {
        place.send = send
        this.#flush(connection)
      },
    }
  }

  #flush(connection: Connection): void {
    const places = this.#places.get(connection)
    if (places === undefined) return
    while (places[0]?.send !== undefined) {
      const { send } = places.shift()!
      send!()
    }
    if (places.length === 0) this.#places.delete(connection)
  }
}
