/** Cursors of pages: opaque to clients, the last key of the page before to the hub. */

/** Returns the cursor of the page that begins after a key. */
export const encodeCursor = (key: string): string => btoa(key)

/** Returns the key of a cursor; `undefined` if the text is no cursor. */
export const decodeCursor = (cursor: string): string | undefined => {
  try {
    return atob(cursor)
  } catch {
    return undefined
  }
}
