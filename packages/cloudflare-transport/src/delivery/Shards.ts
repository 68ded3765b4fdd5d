/** Which object of many has a name: by its hash, so that nobody needs to look it up. */

/** Objects of the directory. Changing it moves entries: they come back as their holders connect. */
export const DIRECTORY_SHARDS = 16

/** FNV-1a, 32 bits. */
export const hashOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

/** The name of a shard of the directory. */
export const directoryShard = (index: number): string => `directory-${index}`

/** The shard that has the entry of an address. */
export const shardOf = (address: string): string => directoryShard(hashOf(address) % DIRECTORY_SHARDS)
