/** Counts the values of a msgpack frame and how deep they are nested, before anything is made of it. */
import { MAX_DEPTH } from "../PayloadValue.ts"
import { type FrameMeasure, UndecodableFrame } from "./Codec.ts"

const malformed = (message: string): UndecodableFrame => new UndecodableFrame({ message })

/** The type of extension that the protocol has: a timestamp. */
const TIMESTAMP = 0xff

/**
 * What the bytes hold, in one pass over their headers: texts and bytes are stepped over. Throws
 * `UndecodableFrame` where they are not one msgpack value, or hold an extension other than a timestamp: others
 * hold values within, which nobody would count.
 */
export const measureMsgPack = (frame: Uint8Array): FrameMeasure => {
  const { length } = frame
  const view = new DataView(frame.buffer, frame.byteOffset, length)
  /** What is still to come, keys included, and at each level of what was opened. */
  let open = 1
  const left: Array<number> = []
  let items = 0
  let keys = 0
  let deepest = 0
  let at = 0
  /** The number at this place, which is there. */
  const read = (bytes: 1 | 2 | 4): number => {
    if (at + bytes > length) throw malformed("the frame ends within a value")
    const value = bytes === 1 ? frame[at]! : bytes === 2 ? view.getUint16(at) : view.getUint32(at)
    at += bytes
    return value
  }
  const skip = (bytes: number): void => {
    at += bytes
    if (at > length) throw malformed("the frame ends within a value")
  }
  const enter = (count: number): void => {
    open += count
    // Each takes a byte at least: so nothing that follows is larger than the frame.
    if (open > length - at) throw malformed("the frame ends within a value")
    if (left.length > MAX_DEPTH + 1) return
    left.push(count)
    if (left.length > deepest) deepest = left.length
  }
  const map = (count: number): void => {
    keys += count
    enter(2 * count)
  }
  const extension = (bytes: number): void => {
    if (read(1) !== TIMESTAMP) throw malformed("the frame holds an extension that is no timestamp")
    skip(bytes)
  }
  while (open > 0) {
    open--
    items++
    if (at >= length) throw malformed("the frame ends within a value")
    const token = frame[at++]!
    // Beyond the deepest level the levels are not told apart any more: it is too deep as it is.
    const isTold = left.length <= MAX_DEPTH + 1
    if (isTold && left.length > 0) left[left.length - 1]!--
    if (token < 0x80 || token >= 0xe0) {
      // A number by itself.
    } else if (token < 0x90) map(token - 0x80)
    else if (token < 0xa0) enter(token - 0x90)
    else if (token < 0xc0) skip(token - 0xa0)
    else {
      switch (token) {
        case 0xc0:
        case 0xc2:
        case 0xc3:
          break
        case 0xc4:
        case 0xd9:
          skip(read(1))
          break
        case 0xc5:
        case 0xda:
          skip(read(2))
          break
        case 0xc6:
        case 0xdb:
          skip(read(4))
          break
        case 0xc7:
          extension(read(1))
          break
        case 0xc8:
          extension(read(2))
          break
        case 0xc9:
          extension(read(4))
          break
        case 0xcc:
        case 0xd0:
          skip(1)
          break
        case 0xcd:
        case 0xd1:
          skip(2)
          break
        case 0xca:
        case 0xce:
        case 0xd2:
          skip(4)
          break
        case 0xcb:
        case 0xcf:
        case 0xd3:
          skip(8)
          break
        case 0xd4:
        case 0xd5:
        case 0xd6:
        case 0xd7:
        case 0xd8:
          extension(1 << (token - 0xd4))
          break
        case 0xdc:
          enter(read(2))
          break
        case 0xdd:
          enter(read(4))
          break
        case 0xde:
          map(read(2))
          break
        case 0xdf:
          map(read(4))
          break
        default:
          throw malformed("the frame is not msgpack")
      }
    }
    if (isTold) while (left.length > 0 && left.at(-1) === 0) left.pop()
  }
  if (at < length) throw malformed("the frame goes on after its value")
  return { values: items - keys, depth: deepest - 1 }
}
