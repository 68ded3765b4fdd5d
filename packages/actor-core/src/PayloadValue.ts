/**
 * The values that a payload and metadata may hold, in every codec, in storage and between actors of
 * different processes. Every other value is rejected with its path and a remedy: none is changed silently.
 *
 * | value | travels as |
 * |---|---|
 * | `null`, booleans, finite numbers, strings | themselves; `-0` as `0` |
 * | arrays, plain objects | themselves, 127 levels deep at most |
 * | `Uint8Array`, Node's `Buffer`, `ArrayBuffer` | bytes; in JSON base64 |
 * | `Date` | a date; in JSON its ISO text |
 * | `undefined` | left out of an object; `null` in an array or as the whole payload |
 *
 * A plain object has the prototype `Object.prototype` or `null`. Its own enumerable properties travel under
 * any string key. What is not enumerable stays behind, as in JSON.
 */
import * as Data from "effect/Data"

/** Deepest nesting of an envelope: the envelope itself is level 1, its payload and its metadata are level 2. */
export const MAX_DEPTH = 128
/** Most levels of nesting that a payload or metadata may have. */
export const MAX_PAYLOAD_LEVELS = MAX_DEPTH - 1
/**
 * Most levels of nesting that codecs write and read: what a hub or a row has around a payload is no reason to
 * fail.
 */
export const MAX_CODEC_LEVELS = 192

/** A value that no message can carry, or that no row can hold. */
export class UnsupportedValue extends Data.TaggedError("UnsupportedValue")<{
  /** The way to the value, as code would write it: `payload.items[3].at`. */
  readonly path: string
  /** What to do instead. */
  readonly remedy: string
  /** What is wrong, where, and the remedy. */
  readonly message: string
  /** What a getter or a `Proxy` threw when it was read. */
  readonly cause?: unknown
}> {}

/** The size of a value, as the wire contract counts it. */
export interface Measure {
  /** Objects, arrays, strings, numbers, booleans, `null`s, dates and byte strings; keys are none. */
  readonly values: number
  /** Levels of objects and arrays: 0 for a string, 1 for `[]`, 2 for `[{}]`. */
  readonly depth: number
}

/** How `measure` looks at a value. */
export interface MeasureOptions {
  /** The name of the value in the path of an error. Default: `payload`. */
  readonly name?: string
  /** The level of the value itself. Default: 2, as an envelope holds it. */
  readonly level?: number
  /** Stop counting above so many values: the rest is not looked at. Default: count all. */
  readonly maxValues?: number
}

/**
 * Measures a value that is to leave this process, or says why it can't. Reads each property once and never
 * throws, whatever a getter or a `Proxy` does.
 *
 * @example
 * ```ts
 * const size = PayloadValue.measure({ at: new Date(), tags: new Set(["new"]) })
 * if (size instanceof PayloadValue.UnsupportedValue) console.error(size.message)
 * // payload.tags is a Set, which can't be sent or stored: send an array, [...set]
 * ```
 */
export const measure = (value: unknown, options: MeasureOptions = {}): Measure | UnsupportedValue => {
  const { name = "payload", level = 2, maxValues = Infinity } = options
  const tally: Tally = { values: 0, deepest: level - 1, maxValues }
  const flaw = flawOf(value, level, tally)
  return flaw === undefined
    ? { values: tally.values, depth: tally.deepest - level + 1 }
    : unsupported(flaw, name)
}

/** As `measure`, for those who need no size: throws the `UnsupportedValue`. */
export const assert = (value: unknown, options?: MeasureOptions): void => {
  const measured = measure(value, options)
  if (measured instanceof UnsupportedValue) throw measured
}

/** What a value is to a codec: see `formOf`. */
export type Form = 0 | 1 | 2 | 3
/** No payload may hold it. */
export const UNSUPPORTED = 0
/** JSON has it as it is. */
export const AS_JSON = 1
/** There are dates in it, which JSON has as text. */
export const WITH_DATES = 2
/** There are bytes in it, which `JSON.stringify` spoils. There may be dates too. */
export const WITH_BYTES = 3

/**
 * Says in what form a value travels that a decoder gave, or that `measure` took: quickly, as each message
 * passes here. Such values have neither methods nor getters, so it doesn't look for them.
 *
 * @param levels The levels of nesting that the value may have.
 */
export const formOf = (value: unknown, levels: number): Form => {
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? AS_JSON : UNSUPPORTED
    case "boolean":
    case "undefined":
      return AS_JSON
    case "number":
      return Number.isFinite(value) ? AS_JSON : UNSUPPORTED
    case "object":
      return value === null ? AS_JSON : formOfObject(value, levels)
    default:
      return UNSUPPORTED
  }
}

const formOfObject = (value: object, levels: number): Form => {
  let form: Form = AS_JSON
  if (Array.isArray(value)) {
    if (levels <= 0) return UNSUPPORTED
    for (let i = 0; i < value.length; i++) {
      const element: unknown = value[i]
      if (element === undefined && !(i in value)) return UNSUPPORTED
      const part = formOf(element, levels - 1)
      if (part === UNSUPPORTED) return UNSUPPORTED
      if (part > form) form = part
    }
    return form
  }
  if (isPlainObject(value)) {
    if (levels <= 0) return UNSUPPORTED
    for (const key in value) {
      if (!key.isWellFormed()) return UNSUPPORTED
      const part = formOf(value[key], levels - 1)
      if (part === UNSUPPORTED) return UNSUPPORTED
      if (part > form) form = part
    }
    return form
  }
  if (flawOfInstance(value) !== undefined) return UNSUPPORTED
  return isBytes(value) ? WITH_BYTES : WITH_DATES
}

/** How many values there are in one that `isDecoded`, itself included; keys are none. */
export const valuesIn = (value: unknown): number => {
  if (typeof value !== "object" || value === null) return value === undefined ? 0 : 1
  let count = 1
  if (Array.isArray(value)) for (let i = 0; i < value.length; i++) count += valuesIn(value[i])
  else if (isPlainObject(value)) for (const key in value) count += valuesIn(value[key])
  return count
}

/** Bytes of a value that is neither text nor bytes, and of an object beside what it holds. */
const VALUE_BYTES = 16

/**
 * Roughly the bytes that a value takes in memory, keys and what it holds included. For bounds on what waits, where
 * counting to the byte would cost more than it tells. Instances of classes count as one value.
 *
 * @param most Where it counts no further. Values that refer to themselves end there, too.
 */
export const memoryOf = (
  value: unknown,
  most = Number.MAX_SAFE_INTEGER,
  levels = MAX_CODEC_LEVELS,
): number => {
  if (typeof value === "string") return VALUE_BYTES + value.length
  if (typeof value !== "object" || value === null || levels <= 0) return VALUE_BYTES
  let bytes = VALUE_BYTES
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && bytes < most; i++)
      bytes += memoryOf(value[i], most - bytes, levels - 1)
  } else if (isPlainObject(value)) {
    for (const key in value) {
      if (bytes >= most) break
      bytes += key.length + memoryOf(value[key], most - bytes, levels - 1)
    }
  } else if (isBytes(value)) bytes += value.byteLength
  return bytes
}

/** Whether the value is an object of keys and values: no array, no instance of a class. */
export const isPlainObject = (value: unknown): value is { readonly [key: string]: unknown } => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Whether the value travels as bytes. Asks what it is inside: a prototype can be set to any. */
export const isBytes = (value: object): value is Uint8Array | ArrayBuffer =>
  value instanceof Uint8Array
    ? typedArrayTag.call(value) === "Uint8Array"
    : Object.getPrototypeOf(value) === ArrayBuffer.prototype

const typedArrayTag = /* @__PURE__ */ (() =>
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!.get!)()

/**
 * Why a codec could not write these values: the first that can't be sent, by its path.
 *
 * @param cause What was thrown, where a value was another when it was read again.
 */
export const rejectionOf = (
  values: ReadonlyArray<readonly [name: string, value: unknown]>,
  cause?: unknown,
): UnsupportedValue => {
  for (const [name, value] of values) {
    const measured = measure(value, { name, level: MAX_DEPTH - MAX_CODEC_LEVELS + 1 })
    if (measured instanceof UnsupportedValue) return measured
  }
  const path = values[0]?.[0] ?? "value"
  return unsupported(
    { keys: [], what: "a value that changes while it is read", remedy: "send plain data", cause },
    path,
  )
}

interface Tally {
  values: number
  deepest: number
  readonly maxValues: number
}

/** What is wrong with a value, and the keys that lead to it, the innermost first. */
interface Flaw {
  readonly keys: Array<string | number>
  readonly what: string
  readonly remedy: string
  readonly cause?: unknown
}

const flaw = (what: string, remedy: string): Flaw => ({ keys: [], what, remedy })

const within = (key: string | number, found: Flaw): Flaw => {
  found.keys.push(key)
  return found
}

const flawOf = (value: unknown, level: number, tally: Tally): Flaw | undefined => {
  if (++tally.values > tally.maxValues) return undefined
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? undefined : illFormed("a string")
    case "number":
      return Number.isFinite(value) ? undefined : flaw(String(value), "send null, or a string")
    case "boolean":
    case "undefined":
      return undefined
    case "object":
      return value === null ? undefined : flawOfObject(value, level, tally)
    case "bigint":
      return flaw("a bigint", "send a string, or a number where it is a safe integer")
    case "symbol":
      return flaw("a symbol", "send a string")
    case "function":
      return flaw("a function", "send data only")
  }
}

const illFormed = (what: string): Flaw =>
  flaw(`${what} with half of a surrogate pair`, "use text.toWellFormed(), or bytes where it is no text")

const flawOfObject = (value: object, level: number, tally: Tally): Flaw | undefined => {
  // What is read just now: a getter or a Proxy may throw.
  let key: string | number | undefined
  try {
    const isArray = Array.isArray(value)
    if (isArray ? Object.getPrototypeOf(value) !== Array.prototype : !isPlainObject(value)) {
      return flawOfInstance(value)
    }
    if (level > MAX_DEPTH) {
      return flaw(`nested deeper than ${MAX_DEPTH} levels, or holds itself`, "use a flatter structure")
    }
    if (level > tally.deepest) tally.deepest = level
    const holder = value as { readonly [key: string]: unknown }
    if (typeof holder["toJSON"] === "function")
      return flaw("an object with a method toJSON", "send its result")
    if (isArray) {
      for (let i = 0; i < value.length && tally.values <= tally.maxValues; i++) {
        key = i
        const element: unknown = value[i]
        const found =
          element === undefined && !(i in value)
            ? flaw("a hole in an array", "put null in its place")
            : flawOf(element, level + 1, tally)
        if (found !== undefined) return within(i, found)
      }
      return undefined
    }
    for (key of Object.keys(value)) {
      const property = holder[key]
      if (property === undefined) continue
      const found = key.isWellFormed() ? flawOf(property, level + 1, tally) : illFormed("a key")
      if (found !== undefined) return within(key, found)
      if (tally.values > tally.maxValues) return undefined
    }
    key = undefined
    for (const symbol of Object.getOwnPropertySymbols(value)) {
      if (Object.prototype.propertyIsEnumerable.call(value, symbol)) {
        return flaw("an object with a symbol as a key", "use a string as the key")
      }
    }
    return undefined
  } catch (cause) {
    const keys = key === undefined ? [] : [key]
    return { keys, what: "a value that throws when it is read", remedy: "send plain data", cause }
  }
}

/** What is wrong with an object that is neither an array nor plain; nothing where it is bytes or a date. */
const flawOfInstance = (value: object): Flaw | undefined => {
  if (isBytes(value)) {
    const buffer = value instanceof Uint8Array ? value.buffer : value
    return "detached" in buffer && buffer.detached
      ? flaw("a buffer that was transferred", "send a copy, or send it first")
      : undefined
  }
  if (Object.getPrototypeOf(value) === Date.prototype) {
    if (Number.isNaN(Date.prototype.getTime.call(value))) return flaw("an invalid Date", "send null")
    return Reflect.ownKeys(value).length === 0
      ? undefined
      : flaw("a Date with properties of its own", "send new Date(date)")
  }
  if (value instanceof Unreadable) return flaw(value.what, value.remedy)
  if (ArrayBuffer.isView(value)) {
    const remedy =
      "send new Uint8Array(view.buffer, view.byteOffset, view.byteLength), or an array of numbers"
    return flaw(nameOf(value), remedy)
  }
  const kind = Object.prototype.toString.call(value).slice(8, -1)
  return flaw(
    nameOf(value),
    Object.hasOwn(REMEDIES, kind) ? REMEDIES[kind]! : "send a plain object, { ...value }",
  )
}

const REMEDIES: { readonly [kind: string]: string } = {
  Map: "send a plain object, Object.fromEntries(map)",
  Set: "send an array, [...set]",
  Error: "send { name, message }, or declare the error in the actor's protocol",
  RegExp: "send its source and flags",
  Promise: "await it first",
  Blob: "send await blob.arrayBuffer()",
  File: "send await file.arrayBuffer()",
  Number: "send value.valueOf()",
  String: "send value.valueOf()",
  Boolean: "send value.valueOf()",
  URL: "send url.href",
  Date: "send new Date(date)",
  SharedArrayBuffer: "send a copy, new Uint8Array(buffer).slice()",
}

const nameOf = (value: object): string => {
  const { constructor } = value
  const name =
    typeof constructor === "function" ? String(constructor.name).slice(0, MAX_SHOWN).toWellFormed() : ""
  if (name === "" || name === "Object") return "an object with a prototype of its own"
  return `${/^[AEIO]/.test(name) ? "an" : "a"} ${name}`
}

/** What a decoder puts in the place of a value that it could read, and that no payload may hold. */
export class Unreadable {
  readonly what: string
  readonly remedy: string
  constructor(what: string, remedy: string) {
    this.what = what
    this.remedy = remedy
  }
}

/** Longest key or name of a class that a message shows, in characters. */
const MAX_SHOWN = 40
/** Most keys that a path shows. */
const MAX_KEYS_SHOWN = 12

const unsupported = ({ keys, what, remedy, ...rest }: Flaw, name: string): UnsupportedValue => {
  const shown = keys.length > MAX_KEYS_SHOWN ? keys.slice(-MAX_KEYS_SHOWN) : keys
  const path = shown.reduceRight<string>((before, key) => before + access(key), name)
  const whole = shown === keys ? path : `${path}…`
  const message = `${whole} is ${what}, which can't be sent or stored: ${remedy}`
  return new UnsupportedValue({ path: whole, remedy, message, ...rest })
}

const access = (key: string | number): string => {
  if (typeof key === "number") return `[${key}]`
  if (key.length <= MAX_SHOWN && /^[A-Za-z_$][\w$]*$/.test(key)) return `.${key}`
  return `[${JSON.stringify(key.length > MAX_SHOWN ? `${key.slice(0, MAX_SHOWN)}…` : key)}]`
}
