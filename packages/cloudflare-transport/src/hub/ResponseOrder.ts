/**
 * The order of answers: those of one connection leave in the order of its requests, also where one needs
 * longer than the next. Costs nothing where none does.
 */
import type { Connection, Place } from "../session/Connection.ts"

/** Sends now, or after the answers that the connection still waits for. */
export const inOrder = ({ replies }: Connection, send: () => void): void => {
  if (replies === null) send()
  else replies.push({ send })
}

/** Keeps a place for an answer that comes later. What is given back sends it when it is its turn. */
export const holdPlace = (connection: Connection): ((send: () => void) => void) => {
  const place: Place = { send: undefined }
  connection.replies ??= []
  connection.replies.push(place)
  return (send) => {
    place.send = send
    flush(connection)
  }
}

const flush = (connection: Connection): void => {
  const replies = connection.replies ?? []
  while (replies[0]?.send !== undefined) replies.shift()!.send!()
  if (replies.length === 0) connection.replies = null
}
