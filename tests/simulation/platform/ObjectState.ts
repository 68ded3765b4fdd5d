/** What an object's constructor is given: `DurableObjectState`, as far as it is used. */
import type { Incarnation } from "./Incarnation.ts"
import type { ObjectPlace } from "./ObjectPlace.ts"
import type { ServerSocket } from "./ServerSocket.ts"

/** Most sockets that one object may have, and most tags of one. */
const MOST_SOCKETS = 32_768
const MOST_TAGS = 10

export const makeState = (place: ObjectPlace, life: Incarnation): unknown => {
  const alive = (): void => {
    if (!life.isAlive) throw new Error(`${life.name} is over`)
  }
  const { storage } = place
  const setAlarm = (at: number | null): Promise<void> => {
    alive()
    place.alarm.ringing = null
    storage.setAlarm(at)
    return Promise.resolve()
  }
  return {
    id: { name: place.name, toString: () => `${place}` },
    storage: {
      sql: {
        exec: (query: string, ...bindings: ReadonlyArray<never>) => {
          alive()
          return storage.sql.exec(query, ...bindings)
        },
        get databaseSize() {
          alive()
          return storage.size
        },
      },
      deleteAll: (): Promise<void> => {
        alive()
        storage.deleteAll()
        return Promise.resolve()
      },
      transactionSync: <A>(writes: () => A): A => {
        alive()
        return storage.transactionSync(writes)
      },
      getAlarm: () => Promise.resolve(place.alarm.at),
      setAlarm: (at: number | Date) => setAlarm(Number(at)),
      deleteAlarm: () => setAlarm(null),
    },
    acceptWebSocket: (socket: ServerSocket, tags: ReadonlyArray<string> = []) => {
      alive()
      if (place.sockets.size >= MOST_SOCKETS || tags.length > MOST_TAGS) throw new Error("too many")
      socket.tags = tags
      socket.owner = place
      place.sockets.add(socket)
    },
    getWebSockets: (tag?: string) =>
      life.isAlive
        ? [...place.sockets].filter((socket) => tag === undefined || socket.tags.includes(tag))
        : [],
    setWebSocketAutoResponse: (pair: ObjectPlace["autoResponse"]) => {
      place.autoResponse = pair
    },
    getWebSocketAutoResponseTimestamp: (socket: ServerSocket) => socket.autoAnsweredAt,
    blockConcurrencyWhile: async <A>(work: () => Promise<A>): Promise<A> => {
      life.isBlocked = true
      try {
        return await work()
      } catch (error) {
        if (life.isAlive) {
          place.world.failed(place, "blockConcurrencyWhile", error)
          place.crash("blockConcurrencyWhile failed")
        }
        throw error
      } finally {
        if (life.isAlive) place.unblock(life)
      }
    },
    waitUntil: () => {},
  }
}
