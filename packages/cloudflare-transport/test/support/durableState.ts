/** What the constructor of a Durable Object is given, on Node's SQLite. */
import type { NodeSql } from "./NodeSql.ts"

export const durableState = (database: NodeSql): DurableObjectState => {
  let alarm: number | null = null
  const setAlarm = async (at: number | null): Promise<void> => void (alarm = at)
  const storage = {
    sql: {
      exec: (query: string, ...bindings: ReadonlyArray<string>) => {
        const rows = database.all(query, ...bindings)
        return { toArray: () => rows }
      },
      databaseSize: 4_096,
    },
    transactionSync: <A>(writes: () => A): A => database.transaction(writes),
    getAlarm: async () => alarm,
    setAlarm,
    deleteAlarm: () => setAlarm(null),
    deleteAll: async () => database.wipe(),
  }
  const sockets = { getWebSockets: () => [], setWebSocketAutoResponse: () => {} }
  return { id: { name: "one", toString: () => "one" }, storage, ...sockets } as unknown as DurableObjectState
}
