/**
 * MessagePack of payload values, and of nothing else: https://github.com/msgpack/msgpack/blob/master/spec.md
 *
 * Libraries read extensions into live objects (errors, sets, regular expressions), rename keys such as
 * `__proto__`, round integers, replace what is no UTF-8, and tell plain objects by their key `constructor`.
 * None of it can be turned off where it was seen. Here a value either travels as it is or is rejected.
 */
import { isBytes, isPlainObject, MAX_CODEC_LEVELS, rejectionOf, Unreadable } from "../PayloadValue.ts"

// ---- writing

/** Bytes of a block, which many small frames share: a buffer of its own for each would cost more than it holds. */
const BLOCK_BYTES = 8_192
/** Bytes of the largest block that is used again. */
const MAX_KEPT_BYTES = 262_144
/** Most bytes that a header takes: a timestamp is the longest. */
const HEADER_BYTES = 16
/** Characters up to which a loop writes a string faster than `TextEncoder` does. */
const SHORT_TEXT = 48

let block = /* @__PURE__ */ new Uint8Array(0)
let view = /* @__PURE__ */ new DataView(block.buffer)
/** Where the next byte goes, and where what is being written began. */
let at = 0
let start = 0

/** Globals of browsers, Node and Workers alike. */
declare const TextEncoder: new () => {
  encodeInto(text: string, into: Uint8Array): { readonly written: number }
}
declare const TextDecoder: new (
  label: string,
  options: { readonly fatal: boolean; readonly ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string }

const encoder = /* @__PURE__ */ new TextEncoder()
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Thrown inside a write at what no payload may hold. Which value that is, is found out afterwards. */
const UNSUPPORTED = /* @__PURE__ */ Symbol("unsupported")

/**
 * The value as MessagePack. Throws `UnsupportedValue` at what no payload may hold.
 *
 * @param name What an error calls the value.
 */
export const pack = (value: unknown, name = "value"): Uint8Array => {
  const outer = begin()
  try {
    write(value, 0)
    return bytesWritten()
  } catch (cause) {
    throw rejectionOf([[name, value]], cause)
  } finally {
    end(outer)
  }
}

/** What was being written when a getter began to write something else. */
interface Outer {
  readonly block: Uint8Array<ArrayBuffer>
  readonly view: DataView<ArrayBuffer>
  readonly at: number
  readonly start: number
}

let isWriting = false

/** Begins to write. `end` takes what it returns, in a `finally`. */
export const begin = (): Outer | undefined => {
  const outer = isWriting ? { block, view, at, start } : undefined
  if (isWriting) {
    block = new Uint8Array(0)
    at = 0
  }
  isWriting = true
  start = at
  return outer
}

/** The bytes written since `begin`, which nothing overwrites. */
export const bytesWritten = (): Uint8Array => {
  if (at - start <= BLOCK_BYTES) return block.subarray(start, at)
  // A large frame is cut to its size: what holds it must not hold a block of twice the size.
  const bytes = block.slice(start, at)
  at = start
  if (block.length > MAX_KEPT_BYTES) {
    block = new Uint8Array(0)
    at = start = 0
  }
  return bytes
}

/** How many bytes were written since `begin`. */
export const countWritten = (): number => at - start

/** Ends what `begin` began. */
export const end = (outer: Outer | undefined): void => {
  isWriting = outer !== undefined
  if (outer !== undefined) ({ block, view, at, start } = outer)
}

/** Makes room for so many bytes at `at`. */
const reserve = (bytes: number): void => {
  if (at + bytes <= block.length) return
  const done = at - start
  const next = new Uint8Array(Math.max(BLOCK_BYTES, 2 * (done + bytes)))
  next.set(block.subarray(start, at))
  block = next
  view = new DataView(next.buffer)
  start = 0
  at = done
}

/** Writes the value, which is at this level of nesting. */
export const write = (value: unknown, level: number): void => {
  switch (typeof value) {
    case "string":
      return writeText(value)
    case "number":
      return writeNumber(value)
    case "boolean":
      return writeByte(value ? 0xc3 : 0xc2)
    case "undefined":
      return writeByte(0xc0)
    case "object":
      return value === null ? writeByte(0xc0) : writeObject(value, level)
    default:
      throw UNSUPPORTED
  }
}

const writeByte = (byte: number): void => {
  reserve(1)
  block[at++] = byte
}

const writeNumber = (value: number): void => {
  reserve(HEADER_BYTES)
  if (value >>> 0 === value) {
    if (value < 0x80) block[at++] = value
    else if (value < 0x100) {
      block[at++] = 0xcc
      block[at++] = value
    } else if (value < 0x10000) {
      block[at++] = 0xcd
      block[at++] = value >> 8
      block[at++] = value
    } else {
      block[at++] = 0xce
      view.setUint32(at, value)
      at += 4
    }
  } else if (value >> 0 === value) {
    if (value >= -0x20) block[at++] = value
    else if (value >= -0x80) {
      block[at++] = 0xd0
      block[at++] = value
    } else if (value >= -0x8000) {
      block[at++] = 0xd1
      view.setInt16(at, value)
      at += 2
    } else {
      block[at++] = 0xd2
      view.setInt32(at, value)
      at += 4
    }
  } else {
    if (!Number.isFinite(value)) throw UNSUPPORTED
    block[at++] = 0xcb
    view.setFloat64(at, value)
    at += 8
  }
}

const writeText = (text: string): void => {
  const { length } = text
  reserve(length * 3 + HEADER_BYTES)
  // The header is as long as the text needs if each character is one byte; else the text moves.
  const header = length < 0x20 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 5
  const from = at + header
  let to = from
  if (length < SHORT_TEXT) {
    for (let i = 0; i < length; i++) {
      let unit = text.charCodeAt(i)
      if (unit < 0x80) {
        block[to++] = unit
        continue
      }
      if (unit < 0x800) block[to++] = 0xc0 | (unit >> 6)
      else {
        if (unit >= 0xd800 && unit < 0xe000) {
          const low = text.charCodeAt(++i)
          if (unit >= 0xdc00 || !(low >= 0xdc00 && low < 0xe000)) throw UNSUPPORTED
          unit = 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff)
          block[to++] = 0xf0 | (unit >> 18)
          block[to++] = 0x80 | ((unit >> 12) & 0x3f)
        } else block[to++] = 0xe0 | (unit >> 12)
        block[to++] = 0x80 | ((unit >> 6) & 0x3f)
      }
      block[to++] = 0x80 | (unit & 0x3f)
    }
  } else {
    if (!text.isWellFormed()) throw UNSUPPORTED
    to += encoder.encodeInto(text, block.subarray(from)).written
  }
  const bytes = to - from
  const needed = bytes < 0x20 ? 1 : bytes < 0x100 ? 2 : bytes < 0x10000 ? 3 : 5
  if (needed !== header) block.copyWithin(at + needed, from, to)
  if (needed === 1) block[at] = 0xa0 | bytes
  else if (needed === 2) {
    block[at] = 0xd9
    block[at + 1] = bytes
  } else if (needed === 3) {
    block[at] = 0xda
    view.setUint16(at + 1, bytes)
  } else {
    block[at] = 0xdb
    view.setUint32(at + 1, bytes)
  }
  at += needed + bytes
}

/** Writes the head of an array, whose elements are to follow. */
export const writeArrayHead = (length: number): void => {
  reserve(HEADER_BYTES)
  writeHead(length, 0x90, 0xdc)
}

/** The head of an array or a map. */
const writeHead = (length: number, small: number, large: number): void => {
  if (length < 0x10) block[at++] = small | length
  else if (length < 0x10000) {
    block[at++] = large
    block[at++] = length >> 8
    block[at++] = length
  } else {
    block[at++] = large + 1
    view.setUint32(at, length)
    at += 4
  }
}

const writeObject = (value: object, level: number): void => {
  if (level >= MAX_CODEC_LEVELS) throw UNSUPPORTED
  reserve(HEADER_BYTES)
  if (Array.isArray(value)) {
    if (Object.getPrototypeOf(value) !== Array.prototype) throw UNSUPPORTED
    const { length } = value
    writeHead(length, 0x90, 0xdc)
    for (let i = 0; i < length; i++) {
      const element: unknown = value[i]
      if (element === undefined && !(i in value)) throw UNSUPPORTED
      write(element, level + 1)
    }
  } else if (isPlainObject(value)) {
    const keys = Object.keys(value)
    const head = at - start
    writeHead(keys.length, 0x80, 0xde)
    let left = 0
    for (const key of keys) {
      const property = value[key]
      if (property === undefined) left++
      else {
        writeText(key)
        write(property, level + 1)
      }
    }
    if (left > 0) correctHead(start + head, keys.length, keys.length - left)
  } else if (isBytes(value)) writeBytes(value instanceof Uint8Array ? value : new Uint8Array(value))
  else if (Object.getPrototypeOf(value) === Date.prototype) writeDate(Date.prototype.getTime.call(value))
  else throw UNSUPPORTED
}

/** Writes another length in the head of a map, in as many bytes. */
const correctHead = (head: number, was: number, is: number): void => {
  if (was < 0x10) block[head] = 0x80 | is
  else if (was < 0x10000) view.setUint16(head + 1, is)
  else view.setUint32(head + 1, is)
}

/** What a typed array has inside: a property of this name can say anything. */
const lengthOf = /* @__PURE__ */ (() =>
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), "length")!.get!)()

const writeBytes = (bytes: Uint8Array): void => {
  const length = lengthOf.call(bytes) as number
  reserve(length + HEADER_BYTES)
  if (length < 0x100) {
    block[at++] = 0xc4
    block[at++] = length
  } else if (length < 0x10000) {
    block[at++] = 0xc5
    view.setUint16(at, length)
    at += 2
  } else {
    block[at++] = 0xc6
    view.setUint32(at, length)
    at += 4
  }
  block.set(bytes, at)
  at += length
}

/** A timestamp, the extension -1: in 4 bytes, 8 or 12, as it needs. */
const writeDate = (millis: number): void => {
  if (Number.isNaN(millis)) throw UNSUPPORTED
  const seconds = Math.floor(millis / 1_000)
  const nanos = (millis - seconds * 1_000) * 1_000_000
  if (nanos === 0 && seconds >= 0 && seconds < 0x1_0000_0000) {
    block[at++] = 0xd6
    block[at++] = 0xff
    view.setUint32(at, seconds)
    at += 4
  } else if (seconds >= 0 && seconds < 0x4_0000_0000) {
    block[at++] = 0xd7
    block[at++] = 0xff
    view.setUint32(at, nanos * 4 + Math.floor(seconds / 0x1_0000_0000))
    view.setUint32(at + 4, seconds)
    at += 8
  } else {
    block[at++] = 0xc7
    block[at++] = 12
    block[at++] = 0xff
    view.setUint32(at, nanos)
    view.setInt32(at + 4, Math.floor(seconds / 0x1_0000_0000))
    view.setUint32(at + 8, seconds)
    at += 12
  }
}

// ---- reading

/** Elements up to which a list is read faster when it grows than when it has room for all at once. */
const SHORT_LIST = 16

/** Thrown at what is no MessagePack. */
const BROKEN = /* @__PURE__ */ Symbol("broken")

const NOT_TEXT = /* @__PURE__ */ new Unreadable("a string that is not UTF-8", "send bytes")
const NOT_KEY = /* @__PURE__ */ new Unreadable("a map with a key that is no string", "use strings as keys")
const NOT_SAFE = /* @__PURE__ */ new Unreadable("an integer beyond 2^53", "send a string")
const TOO_DEEP = /* @__PURE__ */ new Unreadable("nested too deep", "use a flatter structure")
const NOT_DATE = /* @__PURE__ */ new Unreadable("an invalid timestamp", "send null")

/**
 * The value that these bytes hold, and nothing else; throws where they are no MessagePack. In the place of
 * what no payload may hold is an `Unreadable`. Nothing in it shares memory with the bytes.
 */
export const unpack = (packed: Uint8Array): unknown => reader.readAll(packed)

class Reader {
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(this.#bytes.buffer)
  #at = 0
  /** Elements that may still come: each takes a byte at least, so a few bytes can't claim much memory. */
  #left = 0

  readAll(bytes: Uint8Array): unknown {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = 0
    this.#left = bytes.length
    const value = this.#read(0)
    if (this.#at !== bytes.length) throw BROKEN
    return value
  }

  #read(level: number): unknown {
    const token = this.#bytes[this.#at++]
    if (token === undefined) throw BROKEN
    if (token < 0x80) return token
    if (token < 0x90) return this.#map(token & 0x0f, level)
    if (token < 0xa0) return this.#array(token & 0x0f, level)
    if (token < 0xc0) return this.#text(token & 0x1f)
    if (token >= 0xe0) return token - 0x100
    switch (token) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.#binary(this.#uint8())
      case 0xc5:
        return this.#binary(this.#uint16())
      case 0xc6:
        return this.#binary(this.#uint32())
      case 0xc7:
        return this.#extension(this.#uint8())
      case 0xc8:
        return this.#extension(this.#uint16())
      case 0xc9:
        return this.#extension(this.#uint32())
      case 0xca:
        return this.#view.getFloat32(this.#skip(4))
      case 0xcb:
        // The view itself throws beyond its end.
        return this.#view.getFloat64((this.#at += 8) - 8)
      case 0xcc:
        return this.#uint8()
      case 0xcd:
        return this.#uint16()
      case 0xce:
        return this.#uint32()
      case 0xcf:
        return safe(this.#uint32() * 0x1_0000_0000 + this.#uint32())
      case 0xd0:
        return this.#view.getInt8(this.#skip(1))
      case 0xd1:
        return this.#view.getInt16(this.#skip(2))
      case 0xd2:
        return this.#view.getInt32(this.#skip(4))
      case 0xd3:
        return safe(this.#view.getInt32(this.#skip(4)) * 0x1_0000_0000 + this.#uint32())
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (token - 0xd4))
      case 0xd9:
        return this.#text(this.#uint8())
      case 0xda:
        return this.#text(this.#uint16())
      case 0xdb:
        return this.#text(this.#uint32())
      case 0xdc:
        return this.#array(this.#uint16(), level)
      case 0xdd:
        return this.#array(this.#uint32(), level)
      case 0xde:
        return this.#map(this.#uint16(), level)
      case 0xdf:
        return this.#map(this.#uint32(), level)
      default:
        throw BROKEN
    }
  }

  /** Steps over so many bytes, and says where they begin. */
  #skip(bytes: number): number {
    const from = this.#at
    if (bytes > this.#bytes.length - from) throw BROKEN
    this.#at = from + bytes
    return from
  }

  #uint8(): number {
    return this.#bytes[this.#skip(1)]!
  }

  #uint16(): number {
    return this.#view.getUint16(this.#skip(2))
  }

  #uint32(): number {
    return this.#view.getUint32(this.#skip(4))
  }

  #array(length: number, level: number): unknown {
    if ((this.#left -= length) < 0) throw BROKEN
    if (level >= MAX_CODEC_LEVELS) return this.#pass(length)
    const array: Array<unknown> = []
    if (length > SHORT_LIST) array.length = length
    for (let i = 0; i < length; i++) array[i] = this.#read(level + 1)
    return array
  }

  #map(length: number, level: number): unknown {
    if ((this.#left -= length) < 0) throw BROKEN
    if (level >= MAX_CODEC_LEVELS) return this.#pass(2 * length)
    const map: { [key: string]: unknown } = {}
    let isReadable = true
    for (let i = 0; i < length; i++) {
      const key = this.#key(level)
      const value = this.#read(level + 1)
      if (typeof key !== "string") isReadable = false
      else if (key === "__proto__") {
        Object.defineProperty(map, key, { value, writable: true, enumerable: true, configurable: true })
      } else map[key] = value
    }
    return isReadable ? map : NOT_KEY
  }

  #key(level: number): unknown {
    const token = this.#bytes[this.#at]!
    if (token < 0xa0 || token >= 0xc0) return this.#read(level + 1)
    this.#at++
    const length = token & 0x1f
    const from = this.#skip(length)
    const bytes = this.#bytes
    // Keys come again and again. A hit costs no string, and the object's shape is found at once.
    const slot = (length * 53 + bytes[from]! * 7 + bytes[from + length - 1]! * 31) & (KEY_SLOTS - 1)
    const known = keys[slot]
    if (known !== undefined && known.bytes.length === length) {
      let i = 0
      while (i < length && known.bytes[i] === bytes[from + i]) i++
      if (i === length) return known.text
    }
    this.#at = from
    const text = this.#text(length)
    if (typeof text === "string") keys[slot] = { text, bytes: bytes.slice(from, from + length) }
    return text
  }

  #text(length: number): unknown {
    const from = this.#skip(length)
    const bytes = this.#bytes
    if (length < SHORT_TEXT) {
      const units = UNITS[length]!
      let i = 0
      while (i < length && (units[i] = bytes[from + i]!) < 0x80) i++
      if (i === length) return String.fromCharCode.apply(null, units)
    }
    try {
      return decoder.decode(bytes.subarray(from, from + length))
    } catch {
      return NOT_TEXT
    }
  }

  /** Steps over so many values, however deep they are: what is beside them is read all the same. */
  #pass(values: number): Unreadable {
    for (let left = values; left > 0; left--) {
      const token = this.#uint8()
      if (token >= 0x80 && token < 0x90) left += 2 * (token & 0x0f)
      else if (token >= 0x90 && token < 0xa0) left += token & 0x0f
      else if (token === 0xdc) left += this.#uint16()
      else if (token === 0xdd) left += this.#uint32()
      else if (token === 0xde) left += 2 * this.#uint16()
      else if (token === 0xdf) left += 2 * this.#uint32()
      else {
        this.#at--
        this.#read(0)
      }
    }
    return TOO_DEEP
  }

  #binary(length: number): Uint8Array {
    const from = this.#skip(length)
    const copy = new Uint8Array(length)
    copy.set(this.#bytes.subarray(from, from + length))
    return copy
  }

  #extension(length: number): unknown {
    const type = this.#view.getInt8(this.#skip(1))
    const from = this.#skip(length)
    if (type !== -1) return new Unreadable(`an extension of type ${type}`, "send plain data")
    const view = this.#view
    if (length === 4) return date(view.getUint32(from), 0)
    if (length === 8) {
      const high = view.getUint32(from)
      return date((high & 3) * 0x1_0000_0000 + view.getUint32(from + 4), high >>> 2)
    }
    if (length !== 12) return NOT_DATE
    return date(view.getInt32(from + 4) * 0x1_0000_0000 + view.getUint32(from + 8), view.getUint32(from))
  }
}

/**
 * Reads all values, one after the other. It keeps the bytes that it read last: while no young buffer is alive, V8 with
 * compressed pointers gives a table of pointers to buffers back to the system at each minor collection and maps it
 * anew, which took 15 % of the time of a hub that relays binary frames.
 */
const reader = /* @__PURE__ */ new Reader()

/** For each length of a short string, the array that its characters are read into: a new one each time is garbage. */
const UNITS: ReadonlyArray<Array<number>> = /* @__PURE__ */ Array.from({ length: SHORT_TEXT }, (_, length) =>
  Array.from({ length }, () => 0),
)

/** Keys that were read lately, by their bytes. */
const KEY_SLOTS = 1_024
const keys: Array<{ readonly text: string; readonly bytes: Uint8Array } | undefined> = []

const safe = (integer: number): unknown => (Number.isSafeInteger(integer) ? integer : NOT_SAFE)

const date = (seconds: number, nanos: number): unknown => {
  if (nanos >= 1_000_000_000) return NOT_DATE
  const read = new Date(seconds * 1_000 + Math.floor(nanos / 1_000_000))
  return Number.isNaN(read.getTime()) ? NOT_DATE : read
}
