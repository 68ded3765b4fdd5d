/**
 * Walks live objects as a debugger sees them: fields, private ones too, what functions have closed over, and what
 * collections hold. Tells each collection by where it hangs: `Class.field`, `Class.field{}` for what a collection
 * there holds.
 */
import { Session } from "node:inspector"

/** The classes and functions whose insides are ours. */
const OURS = /\/packages\/(?:actor-core|cloudflare-transport)\/(?:src|dist)\//

const ROOTS = "liveWalkRoots"
const VISIT = "liveWalkVisit"
/** What a visit says of an object that was visited before, and of one without a class. */
const SEEN = -1
const PLAIN = -2

interface Remote {
  readonly type: string
  readonly subtype?: string
  readonly className?: string
  readonly objectId?: string
}

interface Property {
  readonly name: string
  readonly value?: Remote
}

interface Properties {
  readonly result: ReadonlyArray<Property>
  readonly internalProperties?: ReadonlyArray<Property>
  readonly privateProperties?: ReadonlyArray<Property>
}

const COLLECTIONS: ReadonlySet<string> = new Set([
  "map",
  "set",
  "array",
  "typedarray",
  "arraybuffer",
  "dataview",
])

/** Where each collection hangs that can be reached from the roots, sorted. */
export const collectionsOf = (roots: { readonly [name: string]: unknown }): ReadonlyArray<string> => {
  const walk = new LiveWalk()
  try {
    return walk.run(roots)
  } finally {
    walk.close()
  }
}

/** Tells each object once which of the classes has made it: the debugger names an object anew each time. */
const visit = (makers: Array<object>) => {
  const seen = new WeakSet<object>()
  const tell = (object: object): number => {
    if (seen.has(object)) return SEEN
    seen.add(object)
    const prototype: object | null = Object.getPrototypeOf(object)
    if (prototype === Object.prototype || prototype === null || typeof object === "function") return PLAIN
    const maker = prototype.constructor
    const known = makers.indexOf(maker)
    return known === -1 ? makers.push(maker) - 1 : known
  }
  return Object.assign(tell, { makers })
}

class LiveWalk {
  readonly #session = new Session()
  readonly #scripts = new Map<string, string>()
  readonly #found = new Set<string>()
  /** The classes that were met, and the names of those that are ours. */
  readonly #makers: Array<object> = []
  readonly #names = new Map<number, string | undefined>()
  /** Objects to look at, with where they hang. */
  readonly #waiting: Array<readonly [value: Remote, where: string]> = []

  run(roots: { readonly [name: string]: unknown }): ReadonlyArray<string> {
    this.#session.connect()
    this.#session.on("Debugger.scriptParsed", ({ params: { scriptId, url } }) => {
      this.#scripts.set(scriptId, url)
    })
    this.#post("Debugger.enable")
    Object.assign(globalThis, { [ROOTS]: roots, [VISIT]: visit(this.#makers) })
    const { result } = this.#post("Runtime.evaluate", { expression: `globalThis.${ROOTS}` }) as {
      readonly result: Remote
    }
    for (const { name, value } of this.#properties(result.objectId!).result) {
      if (value !== undefined) this.#waiting.push([value, name])
    }
    for (let next = this.#waiting.pop(); next !== undefined; next = this.#waiting.pop()) this.#look(...next)
    return [...this.#found].toSorted()
  }

  close(): void {
    this.#session.disconnect()
    for (const name of [ROOTS, VISIT]) Reflect.deleteProperty(globalThis, name)
  }

  #look(value: Remote, where: string): void {
    const { objectId } = value
    if (objectId === undefined) return
    const kind = value.subtype ?? (value.className === "ArrayBuffer" ? "arraybuffer" : "")
    if (COLLECTIONS.has(kind)) this.#found.add(where)
    const maker = this.#visit(objectId)
    if (maker === SEEN) return
    if (kind === "typedarray" || kind === "arraybuffer" || kind === "dataview") return
    if (kind === "map" || kind === "set") return this.#entries(objectId, where)
    if (kind === "array") {
      for (const { name, value: each } of this.#properties(objectId).result) {
        if (/^\d+$/.test(name) && each !== undefined) this.#waiting.push([each, `${where}[]`])
      }
      return
    }
    if (value.type === "function") return this.#closure(objectId)
    if (maker === PLAIN) return this.#fields(objectId, where)
    const name = this.#nameOf(maker)
    if (name !== undefined) this.#fields(objectId, name)
  }

  #fields(objectId: string, where: string): void {
    const { privateProperties = [], result } = this.#properties(objectId)
    for (const { name, value } of [...result, ...privateProperties]) {
      if (value !== undefined && name !== "__proto__") this.#waiting.push([value, `${where}.${name}`])
    }
  }

  #entries(objectId: string, where: string): void {
    const { internalProperties = [] } = this.#properties(objectId)
    const entries = internalProperties.find(({ name }) => name === "[[Entries]]")?.value?.objectId
    if (entries === undefined) return
    for (const { name, value } of this.#properties(entries).result) {
      if (!/^\d+$/.test(name) || value?.objectId === undefined) continue
      for (const part of this.#properties(value.objectId).result) {
        if (part.value !== undefined && (part.name === "key" || part.name === "value")) {
          this.#waiting.push([part.value, `${where}{}`])
        }
      }
    }
  }

  /** What a function of ours has closed over. Constants, in capitals, don't grow. */
  #closure(objectId: string): void {
    const { internalProperties = [] } = this.#properties(objectId)
    const url = this.#locationOf(internalProperties)
    if (url === undefined || !OURS.test(url)) return
    const file = /([^/]+)\.[jt]s/.exec(url)![1]!
    const scopes = internalProperties.find(({ name }) => name === "[[Scopes]]")?.value?.objectId
    if (scopes === undefined) return
    for (const { value } of this.#properties(scopes).result) {
      if (value?.objectId === undefined || value.className !== "Object") continue
      if (this.#visit(value.objectId) === SEEN) continue
      for (const { name, value: held } of this.#properties(value.objectId).result) {
        if (held !== undefined && !/^__|^[A-Z_0-9]+$/.test(name))
          this.#waiting.push([held, `${file}:${name}`])
      }
    }
  }

  /** `SEEN`, `PLAIN`, or which of the classes has made it. */
  #visit(objectId: string): number {
    const { result } = this.#post("Runtime.callFunctionOn", {
      objectId,
      functionDeclaration: `function () { return globalThis.${VISIT}(this) }`,
    }) as { readonly result: { readonly value: number } }
    return result.value
  }

  /** The name of the class; `undefined`: it is none of ours. */
  #nameOf(maker: number): string | undefined {
    if (this.#names.has(maker)) return this.#names.get(maker)
    const { result } = this.#post("Runtime.evaluate", {
      expression: `globalThis.${VISIT}.makers[${maker}]`,
    }) as {
      readonly result: Remote
    }
    const url = this.#locationOf(this.#properties(result.objectId!).internalProperties ?? [])
    const { name } = this.#makers[maker] as { readonly name: string }
    const known = url !== undefined && OURS.test(url) ? name : undefined
    this.#names.set(maker, known)
    return known
  }

  #locationOf(internal: ReadonlyArray<Property>): string | undefined {
    const location = internal.find(({ name }) => name === "[[FunctionLocation]]")?.value as
      | { readonly value?: { readonly scriptId: string } }
      | undefined
    return location?.value && this.#scripts.get(location.value.scriptId)
  }

  #properties(objectId: string): Properties {
    return this.#post("Runtime.getProperties", { objectId, ownProperties: true }) as Properties
  }

  /** On the thread's own session an answer comes at once. */
  #post(method: string, params: object = {}): unknown {
    let answer: unknown
    let failure: Error | null = null
    this.#session.post(method as "Runtime.evaluate", params as never, (error, result) => {
      failure = error
      answer = result
    })
    if (failure !== null) throw failure
    return answer
  }
}
